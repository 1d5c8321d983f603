"""The op ``dislayers::joint_histogram``, and the function that people call."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.backend import Implementation
from dislayers._runtime.library import register
from dislayers._runtime.native import missing_kernel
from dislayers.joint_histogram import kernel, reference


def _fake(pred: Tensor, gt: Tensor, bins: int) -> Tensor:
    return pred.new_empty((*pred.shape[:-2], 2, bins), dtype=torch.int64)


_joint_histogram = register(
    "dislayers::joint_histogram(Tensor pred, Tensor gt, int bins) -> Tensor",
    reference.joint_histogram,
    _fake,
    kernels=[Implementation("native", kernel.joint_histogram, missing_kernel("joint_histogram"))],
)


def joint_histogram(pred: Tensor, gt: Tensor, bins: int = 256) -> Tensor:
    """How many pixels have each value of a prediction, of those whose truth is false and of those where it is true.

    A uint8 value v is counted in bin v bins // 256, its own one of 256; a float x in bin trunc(x (bins - 1)), so that
    the last bin has 1 alone.

    Args:
        pred: (..., H, W), uint8, or floats in [0, 1] (others are counted at the nearer end, NaN at 0), on CPU or CUDA.
        gt: bool or uint8 (nonzero is true) of the same shape.
        bins: of the values, 1 to 65536.

    Returns:
        int64 (..., 2, bins), images of a batch apart: false, then true.

    Raises:
        TypeError: pred is neither uint8 nor floating, gt neither bool nor uint8, or bins no int.
        ValueError: fewer than two dimensions, shapes or devices that differ, or bins out of range.

    Numerics:
        Exact counts. Floats of any precision are multiplied in float64. Crops (strided rows) are read in place; float16
        and bfloat16 are copied to float32. There is no CUDA kernel yet: on a GPU plain PyTorch runs.

    Source:
        The 256 thresholds of PySODMetrics' measures, whose quantisation of floats is the same.
    """
    check.prediction("pred", pred)
    check.mask("gt", gt)
    check.matching("gt", gt, "pred", pred)
    check.count("bins", bins)
    check.within("bins", bins, 1, 65536)
    result: Tensor = _joint_histogram(pred, gt, bins)
    return result
