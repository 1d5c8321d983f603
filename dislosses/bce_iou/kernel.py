"""The weighted sum of two formulas in Triton, as :mod:`dislosses.bce_iou.reference`."""

from __future__ import annotations

import triton
import triton.language as tl

from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.kernel import Formula, ahead_of_time
from dislosses.bce.kernel import finish as bce_finish
from dislosses.bce.kernel import slope as bce_slope
from dislosses.bce.kernel import terms as bce_terms
from dislosses.iou.kernel import finish as iou_finish
from dislosses.iou.kernel import slope as iou_slope
from dislosses.iou.kernel import terms as iou_terms


@triton.jit
def terms(prediction, target, OPTIONS: tl.constexpr, PROBABILITIES: tl.constexpr):
    """Cross entropy, intersection and union."""
    (cross_entropy,) = bce_terms(prediction, target, OPTIONS, PROBABILITIES)
    intersection, union = iou_terms(prediction, target, OPTIONS, PROBABILITIES)
    return cross_entropy, intersection, union


@triton.jit
def finish(sums, pixels, OPTIONS: tl.constexpr):
    """Both losses and their coefficients, each times its weight in options."""
    bce_loss, bce = bce_finish((sums[0],), pixels, OPTIONS)
    iou_loss, iou = iou_finish((sums[1], sums[2]), pixels, OPTIONS)
    loss = OPTIONS[0] * bce_loss + OPTIONS[1] * iou_loss
    return loss, (OPTIONS[0] * bce[0], OPTIONS[1] * iou[0], OPTIONS[1] * iou[1])


@triton.jit
def slope(prediction, target, coefficients, OPTIONS: tl.constexpr, PROBABILITIES: tl.constexpr):
    """The sum of both derivatives."""
    by_bce = bce_slope(prediction, target, (coefficients[0],), OPTIONS, PROBABILITIES)
    return by_bce + iou_slope(prediction, target, (coefficients[1], coefficients[2]), OPTIONS, PROBABILITIES)


FORMULA = Formula(terms, finish, slope, sums=3, coefficients=3)

AHEAD_OF_TIME = ahead_of_time(
    "bce_iou",
    FORMULA,
    {
        ("forward", "fp32", "fp32"): 30,
        ("forward", "bf16", "u8"): 30,
        ("backward", "fp32", "fp32"): 21,
        ("backward", "bf16", "u8"): 26,
    },
    Arguments((20.0, 0.5)),
)
