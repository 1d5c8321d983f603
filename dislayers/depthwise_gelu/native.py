"""Calls into ``csrc/depthwise_gelu.cpp``: kernels of 3 in float32; half precision is copied."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import address_and_strides, filled, float32_map, float32_room
from dislayers._runtime.native import extension, workers
from dislayers.depthwise_gelu import reference
from dislayers.depthwise_gelu.reference import Gradients


def forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As :func:`dislayers.depthwise_gelu.reference.depthwise_gelu`."""
    assert extension is not None
    if not _takes(x, weight):
        return reference.depthwise_gelu(x, weight, bias)
    image, parameters = float32_map(x), (_dense(weight), _dense(bias))
    result = torch.empty_like(x)
    room = float32_room(result)
    extension.depthwise_gelu_cpu(
        address_and_strides(image),
        *(parameter.data_ptr() for parameter in parameters),
        address_and_strides(room),
        tuple(x.shape),
        *workers(),
    )
    return filled(result, room)


def backward(gradient: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> Gradients:
    """As :func:`dislayers.depthwise_gelu.reference.backward`."""
    assert extension is not None
    if not _takes(x, weight):
        return reference.backward(gradient, x, weight, bias)
    incoming, image = float32_map(gradient), float32_map(x)
    parameters = _dense(weight), _dense(bias)
    d_x, d_weight, d_bias = torch.empty_like(x), torch.empty(weight.shape), torch.empty(bias.shape)
    room = float32_room(d_x)
    extension.depthwise_gelu_backward_cpu(
        address_and_strides(incoming),
        address_and_strides(image),
        *(parameter.data_ptr() for parameter in parameters),
        address_and_strides(room),
        d_weight.data_ptr(),
        d_bias.data_ptr(),
        tuple(x.shape),
        *workers(),
    )
    of_parameters = torch.empty_like(weight).copy_(d_weight), torch.empty_like(bias).copy_(d_bias)
    return filled(d_x, room), *of_parameters


def _takes(x: Tensor, weight: Tensor) -> bool:
    return weight.shape[-1] == 3 and x.dtype != torch.float64 and x.numel() > 0


def _dense(parameter: Tensor) -> Tensor:
    return parameter.float().contiguous()
