"""Calls into ``csrc/moments.cpp``."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import image_planes
from dislayers._runtime.native import best_instruction_set, extension


def moments(mask: Tensor) -> Tensor:
    """As :func:`dislayers.moments.reference.moments`."""
    assert extension is not None
    shape = (*mask.shape[:-2], 3)
    if mask.numel() == 0:
        return torch.zeros(shape, dtype=torch.int64)
    sums, planes = torch.empty(shape, dtype=torch.int64), image_planes(mask)
    strides, size = (planes.stride(0), planes.stride(1)), tuple(planes.shape)
    threads = torch.get_num_threads()
    extension.moments_cpu(planes.data_ptr(), strides, sums.data_ptr(), size, threads, best_instruction_set)
    return sums
