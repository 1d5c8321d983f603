"""Calls into ``csrc/multiscale_conv_attention.cpp``, which computes in float32: half precision is copied."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from dislayers._runtime.native import best_instruction_set, extension
from dislayers.multiscale_conv_attention import reference
from dislayers.multiscale_conv_attention.reference import Gradients


def forward(x: Tensor, weight: Tensor, bias: Tensor, *strips: Sequence[Tensor]) -> Tensor:
    """As :func:`dislayers.multiscale_conv_attention.reference.multiscale_depthwise`."""
    assert extension is not None
    sizes = _sizes(weight, strips[0])
    if not _takes(x, sizes):
        return reference.multiscale_depthwise(x, weight, bias, *strips)
    image, parameters, result = _dense(x), _packed(weight, bias, strips), torch.empty_like(x)
    out = _room(result)
    extension.multiscale_depthwise_cpu(
        _map(image), parameters.data_ptr(), sizes, _map(out), tuple(x.shape), *_workers()
    )
    return result if out is result else result.copy_(out)


def backward(gradient: Tensor, x: Tensor, weight: Tensor, bias: Tensor, *strips: Sequence[Tensor]) -> Gradients:
    """As :func:`dislayers.multiscale_conv_attention.reference.backward`."""
    assert extension is not None
    sizes = _sizes(weight, strips[0])
    if not _takes(x, sizes):
        return reference.backward(gradient, x, weight, bias, *strips)
    incoming, image, parameters = _dense(gradient), _dense(x), _packed(weight, bias, strips)
    result, of_parameters = torch.empty_like(x), torch.empty_like(parameters)
    out = _room(result)
    extension.multiscale_depthwise_backward_cpu(
        _map(incoming),
        _map(image),
        parameters.data_ptr(),
        sizes,
        _map(out),
        of_parameters.data_ptr(),
        tuple(x.shape),
        *_workers(),
    )
    of_square, of_bias, *of_strips = _unpacked(of_parameters, _in_order(weight, bias, strips))
    of_x = result if out is result else result.copy_(out)
    return of_x, of_square, of_bias, of_strips[::4], of_strips[1::4], of_strips[2::4], of_strips[3::4]


def _takes(x: Tensor, sizes: Sequence[int]) -> bool:
    assert extension is not None
    fits = len(sizes) <= extension.most_strips + 1 and max(sizes) <= extension.longest_kernel
    return fits and x.dtype != torch.float64 and x.numel() > 0


def _dense(tensor: Tensor) -> Tensor:
    """In float32, channels or columns side by side."""
    exact = tensor.float()
    return exact if _side_by_side(exact) else exact.contiguous()


def _room(result: Tensor) -> Tensor:
    """Where the kernel writes: the result if it can."""
    direct = result.dtype == torch.float32 and _side_by_side(result)
    return result if direct else torch.empty(result.shape, dtype=torch.float32)


def _side_by_side(tensor: Tensor) -> bool:
    return 1 in _strides(tensor)[1::2]


def _strides(tensor: Tensor) -> tuple[int, ...]:
    """Those of a dimension of 1 may be any number; here they are 1."""
    return tuple(1 if size == 1 else stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))


def _in_order(weight: Tensor, bias: Tensor, strips: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The parameters as the kernel has them: the square, then strip by strip."""
    return [weight, bias, *(part for strip in zip(*strips, strict=True) for part in strip)]


def _packed(weight: Tensor, bias: Tensor, strips: Sequence[Sequence[Tensor]]) -> Tensor:
    """All parameters of a channel side by side, in float32."""
    return torch.cat([part.reshape(len(bias), -1).float() for part in _in_order(weight, bias, strips)], 1)


def _unpacked(packed: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """The columns of ``packed`` in the layouts of the parameters."""
    columns = packed.tensor_split(list(accumulate(part[0].numel() for part in parameters[:-1])), 1)
    return [torch.empty_like(p).copy_(c.view(p.shape)) for p, c in zip(parameters, columns, strict=True)]


def _sizes(weight: Tensor, rows: Sequence[Tensor]) -> list[int]:
    return [weight.shape[-1], *(row.shape[-1] for row in rows)]


def _map(tensor: Tensor) -> tuple[int, tuple[int, ...]]:
    return tensor.data_ptr(), _strides(tensor)


def _workers() -> tuple[int, int]:
    return torch.get_num_threads(), best_instruction_set
