"""Calls into ``csrc/skeletonize.cpp``."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import fill_planes
from dislayers._runtime.native import best_instruction_set, extension


def _skeletonize_cpu(planes: Tensor, out: Tensor) -> None:
    assert extension is not None
    strides, size = (planes.stride(0), planes.stride(1)), tuple(planes.shape)
    threads = torch.get_num_threads()
    extension.skeletonize_cpu(planes.data_ptr(), strides, out.data_ptr(), size, threads, best_instruction_set)


def skeletonize(mask: Tensor) -> Tensor:
    """As :func:`dislayers.skeletonize.reference.skeletonize`."""
    return fill_planes(mask, _skeletonize_cpu)
