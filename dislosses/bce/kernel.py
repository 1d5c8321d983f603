"""Binary cross entropy in Triton, as :mod:`dislosses.bce.reference`."""

from __future__ import annotations

import triton
import triton.language as tl

from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.kernel import Formula, ahead_of_time
from dislosses._pixel_loss.sigmoid import bounded_log, larger_of_sigmoid, log, sigmoid


@triton.jit
def terms(prediction, target, OPTIONS: tl.constexpr, PROBABILITIES: tl.constexpr):
    """``-t log p - (1 - t) log(1 - p)``."""
    if PROBABILITIES:
        return (-target * bounded_log(prediction) - (1 - target) * bounded_log(1 - prediction),)
    else:
        larger, _ = larger_of_sigmoid(prediction)
        return (tl.maximum(prediction, 0.0) - prediction * target - log(larger),)


@triton.jit
def finish(sums, pixels, OPTIONS: tl.constexpr):
    """The mean over all pixels, those that do not count included."""
    return sums[0] / pixels, (1.0 / pixels,)


@triton.jit
def slope(prediction, target, coefficients, OPTIONS: tl.constexpr, PROBABILITIES: tl.constexpr):
    """``(p - t) / pixels`` for logits."""
    positive, negative, _ = sigmoid(prediction, PROBABILITIES)
    error = coefficients[0] * (positive - target)
    if PROBABILITIES:
        return error / tl.maximum(positive * negative, 1e-12)
    else:
        return error


FORMULA = Formula(terms, finish, slope)

AHEAD_OF_TIME = ahead_of_time(
    "bce",
    FORMULA,
    {
        ("forward", "fp32", "fp32"): 19,
        ("forward", "bf16", "u8"): 19,
        ("backward", "fp32", "fp32"): 17,
        ("backward", "bf16", "u8"): 22,
    },
    Arguments(),
)
