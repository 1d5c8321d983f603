"""The normalized focal loss in Triton, as :mod:`dislosses.normalized_focal.reference`."""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers._runtime.approximate import reciprocal
from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.kernel import Formula, ahead_of_time
from dislosses._pixel_loss.sigmoid import log, sigmoid
from dislosses.focal.kernel import error_and_confidence, power, weight


@triton.jit
def _with_epsilon(confidence):
    return tl.minimum(confidence + 1e-12, 1.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def terms(prediction, target, OPTIONS: tl.constexpr, PROBABILITIES: tl.constexpr):
    """``-w beta log pt`` and ``beta = (1 - pt)^gamma``, with ``pt = 1 - |t - p|``."""
    positive, negative, _ = sigmoid(prediction, PROBABILITIES)
    error, confidence, _ = error_and_confidence(positive, negative, target)
    beta = power(error, OPTIONS[0])
    return -weight(target, OPTIONS) * beta * log(_with_epsilon(confidence)), beta


@triton.jit
def finish(sums, pixels, OPTIONS: tl.constexpr):
    """The ratio of both sums; its divisor is a constant to the gradient."""
    divisor = sums[1] + 1e-12
    return sums[0] / divisor, (1 / divisor,)


@triton.jit
def slope(prediction, target, coefficients, OPTIONS: tl.constexpr, PROBABILITIES: tl.constexpr):
    """``± w (beta / pt - gamma (1 - pt)^(gamma - 1) log pt) p'``."""
    positive, negative, by_prediction = sigmoid(prediction, PROBABILITIES)
    error, confidence, above = error_and_confidence(positive, negative, target)
    confidence = _with_epsilon(confidence)
    by_power = OPTIONS[0] * power(error, OPTIONS[0] - 1) * log(confidence)
    by_logarithm = power(error, OPTIONS[0]) * reciprocal(confidence)
    scale = coefficients[0] * weight(target, OPTIONS)
    return tl.where(above, scale, -scale) * (by_logarithm - by_power) * by_prediction


FORMULA = Formula(terms, finish, slope, sums=2)

AHEAD_OF_TIME = ahead_of_time(
    "normalized_focal",
    FORMULA,
    {
        ("forward", "fp32", "fp32"): 40,
        ("forward", "bf16", "u8"): 38,
        ("backward", "fp32", "fp32"): 45,
        ("backward", "bf16", "u8"): 47,
    },
    Arguments((2.0, 0.5, 0.5), -1.0),
)
