"""Calls into ``csrc/distance_transform.cpp``."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import image_planes
from dislayers._runtime.native import best_instruction_set, extension


def _run(mask: Tensor, distance: Tensor, index: Tensor | None) -> None:
    if mask.numel() == 0:
        return
    assert extension is not None
    planes, threads = image_planes(mask), torch.get_num_threads()
    outputs = distance.data_ptr(), 0 if index is None else index.data_ptr()
    strides, size = (planes.stride(0), planes.stride(1)), tuple(planes.shape)
    extension.distance_transform_cpu(planes.data_ptr(), strides, *outputs, size, threads, best_instruction_set)


def distance_transform(mask: Tensor) -> Tensor:
    """As :func:`dislayers.distance_transform.reference.distance_transform`."""
    distance = mask.new_empty(mask.shape, dtype=torch.float32)
    _run(mask, distance, None)
    return distance


def distance_transform_indices(mask: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`dislayers.distance_transform.reference.distance_transform_indices`."""
    distance = mask.new_empty(mask.shape, dtype=torch.float32)
    index = mask.new_empty(mask.shape, dtype=torch.int64)
    _run(mask, distance, index)
    return distance, index
