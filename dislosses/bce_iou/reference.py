"""The weighted sum of two formulas, of the rooms ``bce`` and ``iou``."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dislosses._pixel_loss.formula import Formula, Prediction, Terms
from dislosses.bce import reference as bce
from dislosses.iou import reference as iou


def terms(prediction: Prediction, target: Tensor, options: Sequence[float]) -> Terms:
    """Cross entropy, intersection and union."""
    return *bce.terms(prediction, target, ()), *iou.terms(prediction, target, ())


def finish(sums: Terms, pixels: int, options: Sequence[float]) -> tuple[Tensor, Terms]:
    """Both losses and their coefficients, each times its weight in options."""
    bce_weight, iou_weight = options
    bce_loss, bce_coefficients = bce.finish(sums[:1], pixels, ())
    iou_loss, iou_coefficients = iou.finish(sums[1:], pixels, ())
    scaled = [bce_weight * c for c in bce_coefficients] + [iou_weight * c for c in iou_coefficients]
    return bce_weight * bce_loss + iou_weight * iou_loss, tuple(scaled)


def slope(prediction: Prediction, target: Tensor, coefficients: Terms, options: Sequence[float]) -> Tensor:
    """The sum of both derivatives."""
    by_bce = bce.slope(prediction, target, coefficients[:1], ())
    return by_bce + iou.slope(prediction, target, coefficients[1:], ())


FORMULA = Formula("bce_iou", terms, finish, slope, sums=3, coefficients=3)
