"""Calls into ``csrc/upsample_concat.cpp``, which computes in float32: half precision is copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dislayers._runtime.layout import address_and_strides
from dislayers._runtime.native import extension, workers
from dislayers.upsample_concat import reference


def forward(x: Tensor, skip: Tensor) -> Tensor:
    """As :func:`dislayers.upsample_concat.reference.upsample_concat`."""
    assert extension is not None
    if not _takes(x, skip):
        return reference.upsample_concat(x, skip)
    layout, result, channels = reference.layout(skip), reference.room(x, skip), x.shape[1]
    direct = x.dtype == torch.float32
    low, beside = _side_by_side(x, layout), _side_by_side(skip if direct else skip[:, :0], layout)
    out = result if direct else _room(result[:, :channels], layout)
    extension.upsample_concat_cpu(
        *_described(low), address_and_strides(beside), *_described(out), layout == torch.channels_last, *workers()
    )
    if not direct:
        result[:, :channels], result[:, channels:] = out, skip
    return result


def backward(gradient: Tensor, size: Sequence[int]) -> Tensor:
    """As :func:`dislayers.upsample_concat.reference.backward`."""
    assert extension is not None
    layout, result = reference.layout(gradient), reference.room_for_gradient(gradient, size)
    if not _takes(result, gradient):
        return reference.backward(gradient, size)
    incoming = _side_by_side(gradient[:, : size[1]], layout)
    out = result if result.dtype == torch.float32 else _room(result, layout)
    extension.upsample_concat_backward_cpu(
        *_described(incoming), *_described(out), layout == torch.channels_last, *workers()
    )
    return result if out is result else result.copy_(out)


def _takes(low: Tensor, full: Tensor) -> bool:
    return low.dtype != torch.float64 and low.numel() > 0 and low.shape[-2:] != full.shape[-2:]


def _room(like: Tensor, layout: torch.memory_format) -> Tensor:
    return torch.empty(like.shape, dtype=torch.float32, memory_format=layout)


def _side_by_side(tensor: Tensor, layout: torch.memory_format) -> Tensor:
    """In float32, with the channels side by side for channels_last, else the columns: itself, else a copy."""
    exact, dimension = tensor.float(), 1 if layout == torch.channels_last else 3
    fits = exact.stride(dimension) == 1 or exact.shape[dimension] <= 1
    return exact if fits else exact.contiguous(memory_format=layout)


def _described(tensor: Tensor) -> tuple[Any, ...]:
    return address_and_strides(tensor), tuple(tensor.shape)
