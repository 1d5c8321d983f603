"""Binary cross entropy of each sample in plain PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dislosses._pixel_loss.formula import Formula, Prediction, Terms


def terms(prediction: Prediction, target: Tensor, options: Sequence[float]) -> Terms:
    """``-t log p - (1 - t) log(1 - p)``."""
    return (prediction.cross_entropy(target),)


def finish(sums: Terms, pixels: int, options: Sequence[float]) -> tuple[Tensor, Terms]:
    """The mean over all pixels, those that do not count included."""
    return sums[0] / pixels, (torch.full_like(sums[0], 1 / max(pixels, 1)),)


def slope(prediction: Prediction, target: Tensor, coefficients: Terms, options: Sequence[float]) -> Tensor:
    """``(p - t) / pixels`` for logits."""
    return coefficients[0] * prediction.cross_entropy_slope(target)


FORMULA = Formula("bce", terms, finish, slope)
