"""Parts of formulas in Triton: probabilities and logarithms in few instructions; needs Triton."""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers._runtime.approximate import approximate_log, reciprocal


@triton.jit
def log(x):
    """``log x``: approximate in float32, exact in float64."""
    if x.dtype == tl.float64:
        return tl.log(x)
    else:
        return approximate_log(x)


@triton.jit
def bounded_log(probability):
    """``log`` of a probability, at least -100."""
    return tl.maximum(log(probability), -100.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def larger_of_sigmoid(logits):
    """``sigmoid(|logits|)``, at least 1 / 2, and ``sigmoid(-|logits|)``."""
    exponential = tl.exp2(-1.4426950408889634 * tl.abs(logits))
    larger = reciprocal(1.0 + exponential)
    return larger, exponential * larger


@triton.jit
def sigmoid(prediction, PROBABILITIES: tl.constexpr):
    """The probability of foreground, that of background, and the derivative of the first by the prediction."""
    if PROBABILITIES:
        return prediction, 1 - prediction, prediction * 0 + 1
    else:
        larger, smaller = larger_of_sigmoid(prediction)
        above = prediction >= 0
        return tl.where(above, larger, smaller), tl.where(above, smaller, larger), larger * smaller
