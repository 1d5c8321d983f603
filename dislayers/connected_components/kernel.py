"""Calls into ``csrc/connected_components.cpp``."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import image_planes
from dislayers._runtime.native import best_instruction_set, extension


def connected_components(mask: Tensor, connectivity: int) -> tuple[Tensor, Tensor]:
    """As :func:`dislayers.connected_components.reference.connected_components`."""
    assert extension is not None
    labels = torch.empty(mask.shape, dtype=torch.int32)
    if mask.numel() == 0:
        return labels, torch.zeros(mask.shape[:-2], dtype=torch.int64)
    counts = torch.empty(mask.shape[:-2], dtype=torch.int64)
    planes, threads = image_planes(mask), torch.get_num_threads()
    outputs, strides = (labels.data_ptr(), counts.data_ptr()), (planes.stride(0), planes.stride(1))
    size, diagonal = tuple(planes.shape), connectivity == 8
    extension.connected_components_cpu(
        planes.data_ptr(), strides, *outputs, size, diagonal, threads, best_instruction_set
    )
    return labels, counts
