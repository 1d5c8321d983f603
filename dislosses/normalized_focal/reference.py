"""The normalized focal loss of each sample in plain PyTorch; options as those of the focal loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dislosses._pixel_loss.formula import Arguments, Formula, Prediction, Terms
from dislosses._pixel_loss.reference import rows, terms_of_pixels
from dislosses.focal.reference import direction, error_and_confidence, weight

EPSILON = 1e-12


def terms(prediction: Prediction, target: Tensor, options: Sequence[float]) -> Terms:
    """``-w beta log pt`` and ``beta = (1 - pt)^gamma``, with ``pt = 1 - |t - p|``."""
    error, confidence = error_and_confidence(prediction, target)
    beta = error ** options[0]
    return -weight(target, options) * beta * _with_epsilon(confidence).log(), beta


def finish(sums: Terms, pixels: int, options: Sequence[float]) -> tuple[Tensor, Terms]:
    """The ratio of both sums; its divisor is a constant to the gradient."""
    divisor = sums[1].detach() + EPSILON
    return sums[0] / divisor, (1 / divisor,)


def slope(prediction: Prediction, target: Tensor, coefficients: Terms, options: Sequence[float]) -> Tensor:
    """``± w (beta / pt - gamma (1 - pt)^(gamma - 1) log pt) p'``."""
    gamma = options[0]
    error, confidence = error_and_confidence(prediction, target)
    confidence = _with_epsilon(confidence)
    by_error = error**gamma / confidence - gamma * error ** (gamma - 1) * confidence.log()
    scale = coefficients[0] * weight(target, options) * direction(prediction, target)
    return scale * by_error * prediction.slope


def _with_epsilon(confidence: Tensor) -> Tensor:
    return (confidence + EPSILON).clamp_max(1)


FORMULA = Formula("normalized_focal", terms, finish, slope, sums=2)


class Multiplied(NamedTuple):
    """What the one pass over the pixels does not keep.

    Attributes:
        losses: (B, N), ``-w beta log pt`` of each pixel.
        weights: (B, N), beta times the multiplier.
        multiplier: (B,), pixels that count over their sum of beta, a constant to the gradient.
    """

    losses: Tensor
    weights: Tensor
    multiplier: Tensor


def multiplied(prediction: Tensor, target: Tensor, arguments: Arguments) -> Multiplied:
    """The pixels of samples (B, ...) with their multiplier."""
    losses, beta = terms_of_pixels(FORMULA, rows(prediction), rows(target), arguments)
    multiplier = counted(target, arguments.ignore_label) / (beta.detach().sum(1) + EPSILON)
    return Multiplied(losses, beta * multiplier[:, None], multiplier)


def limited(prediction: Tensor, target: Tensor, arguments: Arguments, max_mult: float) -> Tensor:
    """The loss (B,) of samples (B, ...) with beta times multiplier at most max_mult."""
    losses, weights, multiplier = multiplied(prediction, target, arguments)
    # Divided by a weight that is at least max_mult, so never by zero.
    allowed = (losses * (max_mult / weights.clamp_min(max_mult))).sum(1)
    return allowed * multiplier / (counted(target, arguments.ignore_label) + EPSILON)


def counted(target: Tensor, ignore_label: float | None) -> Tensor:
    """How many pixels of each sample (B, ...) count."""
    if ignore_label is None:
        return target.new_full((len(target),), target[:1].numel(), dtype=torch.int64)
    return rows(target != ignore_label).sum(1)
