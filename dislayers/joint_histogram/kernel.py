"""Calls into ``csrc/joint_histogram.cpp``."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import image_planes
from dislayers._runtime.native import best_instruction_set, extension

_COUNTED = (torch.uint8, torch.float32, torch.float64)


def joint_histogram(pred: Tensor, gt: Tensor, bins: int) -> Tensor:
    """As :func:`dislayers.joint_histogram.reference.joint_histogram`."""
    assert extension is not None
    shape = (*pred.shape[:-2], 2, bins)
    if pred.numel() == 0:
        return torch.zeros(shape, dtype=torch.int64)
    counts = torch.empty(shape, dtype=torch.int64)
    values, truths = image_planes(pred if pred.dtype in _COUNTED else pred.float()), image_planes(gt)
    extension.joint_histogram_cpu(
        values.data_ptr(), values.element_size(), (values.stride(0), values.stride(1)),
        truths.data_ptr(), (truths.stride(0), truths.stride(1)),
        counts.data_ptr(), tuple(values.shape), bins, torch.get_num_threads(), best_instruction_set,
    )  # fmt: skip
    return counts
