"""Calls into ``csrc/batch_norm_relu.cpp``, which computes in float32: half precision is copied."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import address_and_strides, filled, float32_map, float32_room
from dislayers._runtime.native import extension, workers
from dislayers.conv_norm_act import reference


def batch_norm_relu(
    x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, eps: float, pool: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As :func:`dislayers.conv_norm_act.reference.batch_norm_relu`."""
    assert extension is not None
    if not _takes(x):
        return reference.batch_norm_relu(x, weight, bias, residual, eps, pool)
    image = float32_map(x)
    layout = _format(image)
    added = _map(residual, layout)
    out, pooled = torch.empty_like(x), reference.pooled_room(x) if pool else x.new_empty(0)
    room, pooled_room = float32_room(out, layout), float32_room(pooled, layout) if pool else None
    mean, variance = (torch.empty(x.shape[1]) for _ in range(2))
    parameters = _vector(weight), _vector(bias)
    extension.batch_norm_relu_cpu(
        address_and_strides(image),
        *(vector.data_ptr() for vector in parameters),
        _optional(added),
        eps,
        address_and_strides(room),
        _optional(pooled_room),
        mean.data_ptr(),
        variance.data_ptr(),
        tuple(x.shape),
        *workers(),
    )
    return filled(out, room), filled(pooled, pooled_room), mean, variance


def normalize_relu(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None,
    eps: float,
    pool: bool,
) -> Tensor:
    """As :func:`dislayers.conv_norm_act.reference.normalize_relu`."""
    assert extension is not None
    if not _takes(x):
        return reference.normalize_relu(x, mean, variance, weight, bias, residual, eps, pool)
    image = float32_map(x)
    layout = _format(image)
    added, result = _map(residual, layout), reference.pooled_room(x) if pool else torch.empty_like(x)
    room = float32_room(result, layout)
    vectors = [_vector(vector) for vector in (mean, variance, weight, bias)]
    extension.normalize_relu_cpu(
        address_and_strides(image),
        *(vector.data_ptr() for vector in vectors),
        _optional(added),
        eps,
        address_and_strides(room),
        pool,
        tuple(x.shape),
        *workers(),
    )
    return filled(result, room)


def backward(
    d_out: Tensor | None,
    d_pooled: Tensor | None,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    residual: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As :func:`dislayers.conv_norm_act.reference.backward`."""
    assert extension is not None
    if not _takes(x) or (d_out is None and d_pooled is None):
        return reference.backward(d_out, d_pooled, x, weight, bias, mean, variance, residual, eps)
    image = float32_map(x)
    layout = _format(image)
    added = None if d_pooled is None else _map(residual, layout)
    incoming, of_pooled = _map(d_out, layout), _map(d_pooled, layout)
    d_x = torch.empty_like(x)
    d_residual = x.new_empty(0) if residual is None or added is None else torch.empty_like(residual)
    room, residual_room = float32_room(d_x, layout), None if added is None else float32_room(d_residual, layout)
    vectors = [_vector(vector) for vector in (weight, bias, mean, variance)]
    d_weight, d_bias = (torch.empty(x.shape[1]) for _ in range(2))
    extension.batch_norm_relu_backward_cpu(
        _optional(incoming),
        _optional(of_pooled),
        address_and_strides(image),
        *(vector.data_ptr() for vector in vectors),
        _optional(added),
        eps,
        str(x.dtype).removeprefix("torch."),
        address_and_strides(room),
        d_weight.data_ptr(),
        d_bias.data_ptr(),
        _optional(residual_room),
        tuple(x.shape),
        *workers(),
    )
    of_residual = filled(d_residual, residual_room)
    return filled(d_x, room), d_weight.to(weight.dtype), d_bias.to(bias.dtype), of_residual


def _takes(x: Tensor) -> bool:
    return x.dtype != torch.float64 and x.numel() > 0


def _vector(vector: Tensor) -> Tensor:
    return vector.float().contiguous()


def _format(image: Tensor) -> torch.memory_format:
    """Whether channels or columns lie side by side: for all maps of a call as for x."""
    by_channels = image.stride(1) == 1 or image.shape[1] == 1
    return torch.channels_last if by_channels else torch.contiguous_format


def _map(tensor: Tensor | None, memory_format: torch.memory_format) -> Tensor | None:
    return None if tensor is None else float32_map(tensor, memory_format)


def _optional(tensor: Tensor | None) -> tuple[int, tuple[int, ...]] | None:
    return None if tensor is None else address_and_strides(tensor)
