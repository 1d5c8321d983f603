"""Soft intersection over union of each plane in plain PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from dislosses._pixel_loss.formula import Formula, Prediction, Terms


def terms(prediction: Prediction, target: Tensor, options: Sequence[float]) -> Terms:
    """Intersection ``p t`` and union ``p + t - p t``."""
    intersection = prediction.positive * target
    return intersection, prediction.positive + target - intersection


def finish(sums: Terms, pixels: int, options: Sequence[float]) -> tuple[Tensor, Terms]:
    """``1 - (intersection + 1) / (union + 1)`` as one fraction, and its derivatives by intersection and union."""
    intersection, union = sums
    divisor = union + 1
    return (union - intersection) / divisor, (-1 / divisor, (intersection + 1) / divisor**2)


def slope(prediction: Prediction, target: Tensor, coefficients: Terms, options: Sequence[float]) -> Tensor:
    """``p' (a t + b (1 - t))`` with the derivatives a and b by intersection and union."""
    by_intersection, by_union = coefficients
    return (by_union + (by_intersection - by_union) * target) * prediction.slope


FORMULA = Formula("iou", terms, finish, slope, sums=2, coefficients=2)
