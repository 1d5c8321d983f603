"""Calls into ``csrc/weighted_f_measure.cpp``."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import image_planes
from dislayers._runtime.native import best_instruction_set, extension

_WEIGHED = (torch.uint8, torch.float32, torch.float64)


def weighted_f_measure(pred: Tensor, gt: Tensor, limits: Tensor, beta_squared: float) -> Tensor:
    """As :func:`dismetrics.weighted_f_measure.reference.weighted_f_measure`."""
    assert extension is not None
    scores = torch.zeros(pred.shape[:-2], dtype=torch.float64)
    if pred.numel() == 0:
        return scores
    values, truths = image_planes(pred if pred.dtype in _WEIGHED else pred.float()), image_planes(gt)
    ranges = limits.contiguous()
    extension.weighted_f_measure_cpu(
        values.data_ptr(), values.element_size(), (values.stride(0), values.stride(1)),
        truths.data_ptr(), (truths.stride(0), truths.stride(1)),
        ranges.data_ptr(), beta_squared, scores.data_ptr(), tuple(values.shape),
        torch.get_num_threads(), best_instruction_set,
    )  # fmt: skip
    return scores
