"""Calls into ``csrc/batch_norm_relu.cpp``, which computes in float32: half precision is copied."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import address_and_strides, float32_map
from dislayers._runtime.native import extension, workers
from dislayers.conv_norm_act import reference

_FORMATS = {1: torch.channels_last, 3: torch.contiguous_format}
"""By the dimension whose numbers lie side by side."""


def batch_norm_relu(
    x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, eps: float, pool: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As :func:`dislayers.conv_norm_act.reference.batch_norm_relu`."""
    assert extension is not None
    if not _takes(x):
        return reference.batch_norm_relu(x, weight, bias, residual, eps, pool)
    image = float32_map(x)
    inner = _inner(image)
    added = _map(residual, inner)
    out, pooled = torch.empty_like(x), reference.pooled_room(x) if pool else x.new_empty(0)
    room, pooled_room = _room(out, inner), _room(pooled, inner) if pool else None
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
    return _filled(out, room), _filled(pooled, pooled_room), mean, variance


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
    inner = _inner(image)
    added, result = _map(residual, inner), reference.pooled_room(x) if pool else torch.empty_like(x)
    room = _room(result, inner)
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
    return _filled(result, room)


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
    inner = _inner(image)
    added = None if d_pooled is None else _map(residual, inner)
    incoming, of_pooled = _map(d_out, inner), _map(d_pooled, inner)
    d_x = torch.empty_like(x)
    d_residual = x.new_empty(0) if residual is None or added is None else torch.empty_like(residual)
    room, residual_room = _room(d_x, inner), None if added is None else _room(d_residual, inner)
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
    of_residual = _filled(d_residual, residual_room)
    return _filled(d_x, room), d_weight.to(weight.dtype), d_bias.to(bias.dtype), of_residual


def _takes(x: Tensor) -> bool:
    return x.dtype != torch.float64 and x.numel() > 0


def _vector(vector: Tensor) -> Tensor:
    return vector.float().contiguous()


def _inner(image: Tensor) -> int:
    """The dimension whose numbers lie side by side: for all maps of a call that of x."""
    return 1 if _lies(image, 1) else 3


def _lies(tensor: Tensor, inner: int) -> bool:
    return tensor.dtype == torch.float32 and (tensor.stride(inner) == 1 or tensor.shape[inner] == 1)


def _map(tensor: Tensor | None, inner: int) -> Tensor | None:
    """A map in float32 whose numbers lie side by side there: itself, else a copy."""
    if tensor is None or _lies(tensor, inner):
        return tensor
    return tensor.float().contiguous(memory_format=_FORMATS[inner])


def _room(result: Tensor, inner: int) -> Tensor:
    """Where the kernel writes a result: the result itself if it can, else room to copy from."""
    if _lies(result, inner):
        return result
    return torch.empty(result.shape, dtype=torch.float32, memory_format=_FORMATS[inner])


def _optional(tensor: Tensor | None) -> tuple[int, tuple[int, ...]] | None:
    return None if tensor is None else address_and_strides(tensor)


def _filled(result: Tensor, room: Tensor | None) -> Tensor:
    return result if room is None or room is result else result.copy_(room)
