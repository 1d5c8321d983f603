"""Calls into ``csrc/multiscale_conv_attention.cpp``, which computes in float32: half precision is copied."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dislayers._runtime.layout import address_and_strides, filled, float32_map, float32_room
from dislayers._runtime.native import extension, workers
from dislayers.multiscale_conv_attention import reference
from dislayers.multiscale_conv_attention.packing import in_order, packed, sizes_of, unpacked
from dislayers.multiscale_conv_attention.reference import Gradients


def forward(x: Tensor, weight: Tensor, bias: Tensor, *strips: Sequence[Tensor]) -> Tensor:
    """As :func:`dislayers.multiscale_conv_attention.reference.multiscale_depthwise`."""
    assert extension is not None
    sizes = sizes_of(weight, strips[0])
    if not _takes(x, sizes):
        return reference.multiscale_depthwise(x, weight, bias, *strips)
    image, parameters, result = float32_map(x), packed(weight, bias, strips), torch.empty_like(x)
    out = float32_room(result)
    extension.multiscale_depthwise_cpu(
        address_and_strides(image), parameters.data_ptr(), sizes, address_and_strides(out), tuple(x.shape), *workers()
    )
    return filled(result, out)


def backward(gradient: Tensor, x: Tensor, weight: Tensor, bias: Tensor, *strips: Sequence[Tensor]) -> Gradients:
    """As :func:`dislayers.multiscale_conv_attention.reference.backward`."""
    assert extension is not None
    sizes = sizes_of(weight, strips[0])
    if not _takes(x, sizes):
        return reference.backward(gradient, x, weight, bias, *strips)
    incoming, image, parameters = float32_map(gradient), float32_map(x), packed(weight, bias, strips)
    result, of_parameters = torch.empty_like(x), torch.empty_like(parameters)
    out = float32_room(result)
    extension.multiscale_depthwise_backward_cpu(
        address_and_strides(incoming),
        address_and_strides(image),
        parameters.data_ptr(),
        sizes,
        address_and_strides(out),
        of_parameters.data_ptr(),
        tuple(x.shape),
        *workers(),
    )
    of_square, of_bias, *of_strips = unpacked(of_parameters, in_order(weight, bias, strips))
    return filled(result, out), of_square, of_bias, of_strips[::4], of_strips[1::4], of_strips[2::4], of_strips[3::4]


def _takes(x: Tensor, sizes: Sequence[int]) -> bool:
    assert extension is not None
    fits = len(sizes) <= extension.most_strips + 1 and max(sizes) <= extension.longest_kernel
    return fits and x.dtype != torch.float64 and x.numel() > 0
