"""The focal loss of each sample in plain PyTorch; options are gamma and the weights of positive and negative pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dislosses._pixel_loss.formula import Formula, Prediction, Terms
from dislosses.bce.reference import finish


def error_and_confidence(prediction: Prediction, target: Tensor) -> tuple[Tensor, Tensor]:
    """``|t - p|`` and ``1 - |t - p|``; no difference cancels where p is near 0 or 1."""
    rest = 1 - target
    error = torch.maximum(prediction.positive - target, prediction.negative - rest)
    confidence = torch.minimum(prediction.positive + rest, prediction.negative + target)
    return error.clamp_min(torch.finfo(error.dtype).tiny), confidence


def weight(target: Tensor, options: Sequence[float]) -> Tensor | float:
    """That of positive pixels where ``t > 0.5``, that of negative ones elsewhere."""
    _, positive, negative = options
    if positive == negative:
        return positive
    # On a CPU a choice between numbers that depends on a bool tensor takes ten times as long.
    return (target - 0.5).sign().clamp_min(0) * (positive - negative) + negative


def terms(prediction: Prediction, target: Tensor, options: Sequence[float]) -> Terms:
    """``-w (1 - pt)^gamma log pt`` with ``pt = 1 - |t - p|``."""
    error, confidence = error_and_confidence(prediction, target)
    return (-weight(target, options) * error ** options[0] * prediction.log_confidence(confidence),)


def slope(prediction: Prediction, target: Tensor, coefficients: Terms, options: Sequence[float]) -> Tensor:
    """``± w ((1 - pt)^gamma / pt - gamma (1 - pt)^(gamma - 1) log pt) p'``."""
    gamma = options[0]
    error, confidence = error_and_confidence(prediction, target)
    by_logarithm = error**gamma * prediction.log_confidence_slope(confidence)
    by_power = gamma * error ** (gamma - 1) * prediction.slope * prediction.log_confidence(confidence)
    return coefficients[0] * weight(target, options) * direction(prediction, target) * (by_logarithm - by_power)


def direction(prediction: Prediction, target: Tensor) -> Tensor:
    """The sign of ``p - t``, also where the difference is lost in rounding."""
    return ((prediction.positive - target) - (prediction.negative - (1 - target))).sign()


FORMULA = Formula("focal", terms, finish, slope)
