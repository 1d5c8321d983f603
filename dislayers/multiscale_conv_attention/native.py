"""Calls into ``csrc/multiscale_conv_attention.cpp``, which computes in float32: half precision is copied."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dislayers._runtime.native import best_instruction_set, extension
from dislayers.multiscale_conv_attention import reference
from dislayers.multiscale_conv_attention.reference import Gradients

_MOST_STRIPS = 16


def forward(x: Tensor, weight: Tensor, bias: Tensor, *strips: Sequence[Tensor]) -> Tensor:
    """As :func:`dislayers.multiscale_conv_attention.reference.multiscale_depthwise`."""
    assert extension is not None
    if not _takes(x, strips[0]):
        return reference.multiscale_depthwise(x, weight, bias, *strips)
    image, parameters, result = _dense(x), _packed(weight, bias, strips), torch.empty_like(x)
    out = _room(result)
    extension.multiscale_depthwise_cpu(
        _map(image), parameters.data_ptr(), _sizes(weight, strips[0]), _map(out), tuple(x.shape), *_workers()
    )
    return result if out is result else result.copy_(out)


def backward(gradient: Tensor, x: Tensor, weight: Tensor, bias: Tensor, *strips: Sequence[Tensor]) -> Gradients:
    """As :func:`dislayers.multiscale_conv_attention.reference.backward`."""
    assert extension is not None
    if not _takes(x, strips[0]):
        return reference.backward(gradient, x, weight, bias, *strips)
    incoming, image, parameters = _dense(gradient), _dense(x), _packed(weight, bias, strips)
    result, of_parameters = torch.empty_like(x), torch.empty_like(parameters)
    out = _room(result)
    extension.multiscale_depthwise_backward_cpu(
        _map(incoming),
        _map(image),
        parameters.data_ptr(),
        _sizes(weight, strips[0]),
        _map(out),
        of_parameters.data_ptr(),
        tuple(x.shape),
        *_workers(),
    )
    return Gradients(result if out is result else result.copy_(out), *_unpacked(of_parameters, weight, bias, strips))


def _takes(x: Tensor, rows: Sequence[Tensor]) -> bool:
    return x.dtype != torch.float64 and x.numel() > 0 and len(rows) <= _MOST_STRIPS


def _dense(tensor: Tensor) -> Tensor:
    """In float32, channels or columns side by side."""
    exact = tensor.float()
    return exact if 1 in (exact.stride(1), exact.stride(3)) else exact.contiguous()


def _room(result: Tensor) -> Tensor:
    """Where the kernel writes: the result if it can."""
    direct = result.dtype == torch.float32 and 1 in (result.stride(1), result.stride(3))
    return result if direct else torch.empty(result.shape, dtype=torch.float32)


def _in_order(weight: Tensor, bias: Tensor, strips: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The parameters as the kernel has them: the square, then strip by strip."""
    return [weight, bias, *(part for strip in zip(*strips, strict=True) for part in strip)]


def _packed(weight: Tensor, bias: Tensor, strips: Sequence[Sequence[Tensor]]) -> Tensor:
    """All parameters of a channel side by side, in float32."""
    return torch.cat([part.reshape(len(bias), -1) for part in _in_order(weight, bias, strips)], 1).float()


def _unpacked(packed: Tensor, weight: Tensor, bias: Tensor, strips: Sequence[Sequence[Tensor]]) -> list[object]:
    """The columns of ``packed`` in the layouts of the parameters."""
    parameters = _in_order(weight, bias, strips)
    columns = packed.split([part.numel() // len(bias) for part in parameters], 1)
    parts = [torch.empty_like(p).copy_(c.view(p.shape)) for p, c in zip(parameters, columns, strict=True)]
    return [*parts[:2], *(parts[2 + i :: 4] for i in range(4))]


def _sizes(weight: Tensor, rows: Sequence[Tensor]) -> list[int]:
    return [weight.shape[-1], *(row.shape[-1] for row in rows)]


def _map(tensor: Tensor) -> tuple[int, tuple[int, ...]]:
    return tensor.data_ptr(), tensor.stride()


def _workers() -> tuple[int, int]:
    return torch.get_num_threads(), best_instruction_set
