"""Upsampling beside a skip connection in plain PyTorch, and its gradient; the layouts that all implementations give."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dislayers._runtime.layout import format_of
from dislayers._runtime.precision import at_least_float32
from dislayers.upsample import upsample


def room(x: Tensor, skip: Tensor) -> Tensor:
    """What a result goes into, in the layout of skip."""
    batch, channels, height, width = skip.shape
    size = batch, x.shape[1] + channels, height, width
    return torch.empty(size, dtype=skip.dtype, device=skip.device, memory_format=format_of(skip))


def room_for_gradient(gradient: Tensor, size: Sequence[int]) -> Tensor:
    """What the gradient of an x of some size goes into, in the layout of the gradient that comes in."""
    return torch.empty(tuple(size), dtype=gradient.dtype, device=gradient.device, memory_format=format_of(gradient))


def upsample_concat(x: Tensor, skip: Tensor) -> Tensor:
    """``cat(upsample(x), skip)``."""
    larger = upsample(at_least_float32(x), skip.shape[-2:]).to(skip.dtype)
    return torch.cat((larger, skip), 1).contiguous(memory_format=format_of(skip))


def backward(gradient: Tensor, size: Sequence[int]) -> Tensor:
    """The gradient of an x of some size; that of skip is the rest of the gradient."""
    result, own = room_for_gradient(gradient, size), gradient[:, : size[1]]
    if result.numel() == 0:
        return result
    if own.shape == result.shape:
        return result.copy_(own)
    full = list(gradient.shape[-2:])
    return result.copy_(torch.ops.aten.upsample_bilinear2d_backward(at_least_float32(own), full, list(size), False))
