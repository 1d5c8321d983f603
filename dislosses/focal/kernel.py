"""The focal loss in Triton, as :mod:`dislosses.focal.reference`."""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers._runtime.approximate import reciprocal
from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.kernel import Formula, ahead_of_time
from dislosses._pixel_loss.sigmoid import bounded_log, log, sigmoid
from dislosses.bce.kernel import finish

# The smallest normal float32: what is below may be 0, since GPUs drop denormal numbers.
_TINY = tl.constexpr(1.1754943508222875e-38)


@triton.jit
def error_and_confidence(positive, negative, target):
    """``|t - p|``, ``1 - |t - p|`` and ``p > t``; no difference cancels where p is near 0 or 1."""
    rest = 1 - target
    above, below = positive - target, negative - rest
    confidence = tl.minimum(positive + rest, negative + target, propagate_nan=tl.PropagateNan.ALL)
    return tl.maximum(above, below, propagate_nan=tl.PropagateNan.ALL), confidence, above > below


@triton.jit
def weight(target, OPTIONS: tl.constexpr):
    """That of positive pixels where ``t > 0.5``, that of negative ones elsewhere."""
    if OPTIONS[1] == OPTIONS[2]:
        return OPTIONS[1]
    else:
        positive = tl.full(target.shape, OPTIONS[1], target.dtype)
        return tl.where(target > 0.5, positive, OPTIONS[2])


@triton.jit
def power(base, EXPONENT: tl.constexpr):
    """``base ** EXPONENT``, for the usual exponents without logarithms."""
    if EXPONENT == 2:
        return base * base
    elif EXPONENT == 1:
        return base
    else:
        base = tl.maximum(base, _TINY, propagate_nan=tl.PropagateNan.ALL)
        return tl.exp(EXPONENT * tl.log(base))


@triton.jit
def _log_confidence(prediction, confidence, PROBABILITIES: tl.constexpr):
    if PROBABILITIES:
        return bounded_log(confidence)
    else:
        return tl.where(confidence < _TINY, -tl.abs(prediction), log(confidence))


@triton.jit
def _log_confidence_slope(by_prediction, confidence, PROBABILITIES: tl.constexpr):
    if PROBABILITIES:
        return reciprocal(tl.maximum(confidence, 1e-12, propagate_nan=tl.PropagateNan.ALL))
    else:
        return tl.where(confidence < _TINY, 1.0, by_prediction * reciprocal(confidence))


@triton.jit
def terms(prediction, target, OPTIONS: tl.constexpr, PROBABILITIES: tl.constexpr):
    """``-w (1 - pt)^gamma log pt`` with ``pt = 1 - |t - p|``."""
    positive, negative, _ = sigmoid(prediction, PROBABILITIES)
    error, confidence, _ = error_and_confidence(positive, negative, target)
    logarithm = _log_confidence(prediction, confidence, PROBABILITIES)
    return (-weight(target, OPTIONS) * power(error, OPTIONS[0]) * logarithm,)


@triton.jit
def slope(prediction, target, coefficients, OPTIONS: tl.constexpr, PROBABILITIES: tl.constexpr):
    """``± w ((1 - pt)^gamma / pt - gamma (1 - pt)^(gamma - 1) log pt) p'``."""
    positive, negative, by_prediction = sigmoid(prediction, PROBABILITIES)
    error, confidence, above = error_and_confidence(positive, negative, target)
    by_power = OPTIONS[0] * power(error, OPTIONS[0] - 1) * by_prediction
    by_power *= _log_confidence(prediction, confidence, PROBABILITIES)
    by_logarithm = power(error, OPTIONS[0]) * _log_confidence_slope(by_prediction, confidence, PROBABILITIES)
    scale = coefficients[0] * weight(target, OPTIONS)
    return tl.where(above, scale, -scale) * (by_logarithm - by_power)


FORMULA = Formula(terms, finish, slope)

AHEAD_OF_TIME = ahead_of_time(
    "focal",
    FORMULA,
    {
        ("forward", "fp32", "fp32"): 32,
        ("forward", "bf16", "u8"): 33,
        ("backward", "fp32", "fp32"): 42,
        ("backward", "bf16", "u8"): 46,
    },
    Arguments((2.0, 1.0, 1.0)),
)
