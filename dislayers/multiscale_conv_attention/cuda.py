"""Calls into ``csrc/multiscale_conv_attention.cu``, which reads and writes the dtype of x and computes in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dislayers._runtime.layout import address_and_strides, filled
from dislayers._runtime.native import extension
from dislayers.multiscale_conv_attention import reference
from dislayers.multiscale_conv_attention.packing import in_order, packed, sizes_of, unpacked
from dislayers.multiscale_conv_attention.reference import Gradients

_DTYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


def forward(x: Tensor, weight: Tensor, bias: Tensor, *strips: Sequence[Tensor]) -> Tensor:
    """As :func:`dislayers.multiscale_conv_attention.reference.multiscale_depthwise`."""
    assert extension is not None
    if not _takes(x, sizes_of(weight, strips[0]), extension.multiscale_depthwise_shared):
        return reference.multiscale_depthwise(x, weight, bias, *strips)
    with torch.cuda.device(x.device):
        image, parameters, result = _by_columns(x), packed(weight, bias, strips), torch.empty_like(x)
        out = _room(result)
        extension.multiscale_depthwise_cuda(
            address_and_strides(image),
            parameters.data_ptr(),
            address_and_strides(out),
            _DTYPES[x.dtype],
            tuple(x.shape),
            torch.cuda.current_stream().cuda_stream,
        )
        return filled(result, out)


def backward(gradient: Tensor, x: Tensor, weight: Tensor, bias: Tensor, *strips: Sequence[Tensor]) -> Gradients:
    """As :func:`dislayers.multiscale_conv_attention.reference.backward`."""
    assert extension is not None
    if not _takes(x, sizes_of(weight, strips[0]), extension.multiscale_depthwise_backward_shared):
        return reference.backward(gradient, x, weight, bias, *strips)
    with torch.cuda.device(x.device):
        incoming, image, parameters = _by_columns(gradient.to(x.dtype)), _by_columns(x), packed(weight, bias, strips)
        result, of_parameters = torch.empty_like(x), torch.empty_like(parameters)
        out, (of_a, partials) = _room(result), _scratch(x, parameters)
        extension.multiscale_depthwise_backward_cuda(
            address_and_strides(incoming),
            address_and_strides(image),
            parameters.data_ptr(),
            address_and_strides(out),
            of_parameters.data_ptr(),
            of_a.data_ptr(),
            partials.data_ptr(),
            _DTYPES[x.dtype],
            tuple(x.shape),
            torch.cuda.current_stream().cuda_stream,
        )
        of_square, of_bias, *of_strips = unpacked(of_parameters, in_order(weight, bias, strips))
        of_x = filled(result, out)
    return of_x, of_square, of_bias, of_strips[::4], of_strips[1::4], of_strips[2::4], of_strips[3::4]


def _takes(x: Tensor, sizes: Sequence[int], shared: int) -> bool:
    assert extension is not None
    if list(sizes) != extension.gpu_kernel_sizes or x.dtype not in _DTYPES:
        return False
    if x.numel() == 0 or max(x.shape[:2]) > extension.gpu_most:
        return False
    device: Any = torch.cuda.get_device_properties(x.device)
    return bool(device.shared_memory_per_block_optin >= shared)


def _by_columns(tensor: Tensor) -> Tensor:
    """A feature map whose columns lie side by side: itself, else a copy."""
    return tensor if _is_by_columns(tensor) else tensor.contiguous()


def _room(result: Tensor) -> Tensor:
    """Where the kernel writes a result: the result itself if it can, else room to copy from."""
    return result if _is_by_columns(result) else torch.empty(result.shape, dtype=result.dtype, device=result.device)


def _is_by_columns(tensor: Tensor) -> bool:
    return tensor.stride(-1) == 1 or tensor.shape[-1] == 1


def _scratch(x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Room for the gradient of a, and for what each tile gives to the parameters."""
    assert extension is not None
    batch, channels, height, width = x.shape
    tile, quantum = extension.gpu_tile, extension.gpu_quantum
    tiles = -(height // -tile) * -(width // -tile)
    of_a = (batch, channels, height, -(width // -quantum) * quantum)
    return parameters.new_empty(of_a), parameters.new_empty(batch, tiles, *parameters.shape)
