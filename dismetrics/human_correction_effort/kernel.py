"""Calls into ``csrc/human_correction_effort.cpp``."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import image_planes
from dislayers._runtime.native import best_instruction_set, extension


def human_correction_effort(
    pred: Tensor, gt: Tensor, skeleton: Tensor | None, relax: int, epsilon: float, distance: str
) -> Tensor:
    """As :func:`dismetrics.human_correction_effort.reference.human_correction_effort`."""
    assert extension is not None
    clicks = torch.zeros((*pred.shape[:-2], 4), dtype=torch.int64)
    if pred.numel() == 0:
        return clicks
    masks = [None if mask is None else image_planes(mask) for mask in (pred, gt, skeleton)]
    addresses = [(0, (0, 0)) if mask is None else (mask.data_ptr(), mask.stride()[:2]) for mask in masks]
    images = [part for address in addresses for part in address]
    options = min(relax, pred.shape[-1] * pred.shape[-2]), epsilon, distance == "segment"
    size, threads = (clicks.numel() // 4, *pred.shape[-2:]), torch.get_num_threads()
    extension.human_correction_effort_cpu(*images, clicks.data_ptr(), size, *options, threads, best_instruction_set)
    return clicks
