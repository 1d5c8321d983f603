"""Calls into ``csrc/upsample_concat.cpp``, which computes in float32: half precision is copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dislayers._runtime.layout import address_and_strides, filled, float32_map, float32_room, format_of
from dislayers._runtime.native import extension, workers
from dislayers.upsample_concat import reference


def forward(x: Tensor, skip: Tensor) -> Tensor:
    """As :func:`dislayers.upsample_concat.reference.upsample_concat`."""
    assert extension is not None
    if not _takes(x, skip):
        return reference.upsample_concat(x, skip)
    layout, result, channels = format_of(skip), reference.room(x, skip), x.shape[1]
    direct = x.dtype == torch.float32
    low, beside = float32_map(x, layout), float32_map(skip if direct else skip[:, :0], layout)
    out = result if direct else float32_room(result[:, :channels], layout)
    extension.upsample_concat_cpu(
        *_described(low), address_and_strides(beside), *_described(out), layout == torch.channels_last, *workers()
    )
    if not direct:
        result[:, :channels], result[:, channels:] = out, skip
    return result


def backward(gradient: Tensor, size: Sequence[int]) -> Tensor:
    """As :func:`dislayers.upsample_concat.reference.backward`."""
    assert extension is not None
    layout, result = format_of(gradient), reference.room_for_gradient(gradient, size)
    if not _takes(result, gradient):
        return reference.backward(gradient, size)
    incoming = float32_map(gradient[:, : size[1]], layout)
    out = float32_room(result, layout)
    extension.upsample_concat_backward_cpu(
        *_described(incoming), *_described(out), layout == torch.channels_last, *workers()
    )
    return filled(result, out)


def _takes(low: Tensor, full: Tensor) -> bool:
    return low.dtype != torch.float64 and low.numel() > 0 and low.shape[-2:] != full.shape[-2:]


def _described(tensor: Tensor) -> tuple[Any, ...]:
    return address_and_strides(tensor), tuple(tensor.shape)
