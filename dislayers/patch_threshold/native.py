"""Calls into ``csrc/patch_threshold.cpp``."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import image_planes
from dislayers._runtime.native import best_instruction_set, extension

_READ = (torch.uint8, torch.float32, torch.float64)


def patch_threshold(
    probability: Tensor, mask: Tensor, patch_size: int, tie: str, classes: str, literal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`dislayers.patch_threshold.reference.patch_threshold`."""
    assert extension is not None
    *leading, height, width = probability.shape
    threshold = torch.empty(*leading, height // patch_size, width // patch_size)
    iou, found = torch.empty_like(threshold), torch.empty(probability.shape, dtype=torch.bool)
    if found.numel() == 0:
        return threshold, iou, found
    values = image_planes(probability if probability.dtype in _READ else probability.float())
    truths = image_planes(mask)
    extension.patch_threshold_cpu(
        values.data_ptr(), values.element_size(), (values.stride(0), values.stride(1)),
        truths.data_ptr(), (truths.stride(0), truths.stride(1)),
        threshold.data_ptr(), iou.data_ptr(), found.data_ptr(), tuple(values.shape), patch_size,
        tie == "nearest_half", classes == "both", literal, torch.get_num_threads(), best_instruction_set,
    )  # fmt: skip
    return threshold, iou, found
