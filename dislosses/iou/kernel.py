"""Soft intersection over union in Triton, as :mod:`dislosses.iou.reference`."""

from __future__ import annotations

import triton
import triton.language as tl

from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.kernel import Formula, ahead_of_time
from dislosses._pixel_loss.sigmoid import sigmoid


@triton.jit
def terms(prediction, target, OPTIONS: tl.constexpr, PROBABILITIES: tl.constexpr):
    """Intersection ``p t`` and union ``p + t - p t``."""
    positive, _, _ = sigmoid(prediction, PROBABILITIES)
    intersection = positive * target
    return intersection, positive + target - intersection


@triton.jit
def finish(sums, pixels, OPTIONS: tl.constexpr):
    """``1 - (intersection + 1) / (union + 1)`` as one fraction, and its derivatives by intersection and union."""
    divisor = sums[1] + 1
    return (sums[1] - sums[0]) / divisor, (-1 / divisor, (sums[0] + 1) / (divisor * divisor))


@triton.jit
def slope(prediction, target, coefficients, OPTIONS: tl.constexpr, PROBABILITIES: tl.constexpr):
    """``p' (a t + b (1 - t))`` with the derivatives a and b by intersection and union."""
    _, _, by_prediction = sigmoid(prediction, PROBABILITIES)
    return (coefficients[1] + (coefficients[0] - coefficients[1]) * target) * by_prediction


FORMULA = Formula(terms, finish, slope, sums=2, coefficients=2)

AHEAD_OF_TIME = ahead_of_time(
    "iou",
    FORMULA,
    {
        ("forward", "fp32", "fp32"): 22,
        ("forward", "bf16", "u8"): 24,
        ("backward", "fp32", "fp32"): 17,
        ("backward", "bf16", "u8"): 20,
    },
    Arguments(),
)
