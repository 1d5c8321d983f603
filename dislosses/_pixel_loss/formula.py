"""The formula of a loss in plain PyTorch, and the two kinds of predictions that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# The smallest normal float32: what is below may be 0 where a processor drops denormal numbers.
_TINY = 1.1754943508222875e-38


class Logits:
    """Predictions through a sigmoid, without cancellation where it is near 0 or 1.

    Attributes:
        positive, negative: the probabilities of foreground and of background.
        slope: the derivative of the probability with respect to the prediction.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values
        self._positive: Tensor | None = None
        self._negative: Tensor | None = None

    # Computed when first asked for; torch.compile cannot trace functools.cached_property.
    @property
    def positive(self) -> Tensor:
        if self._positive is None:
            self._positive = self.values.sigmoid()
        return self._positive

    @property
    def negative(self) -> Tensor:
        if self._negative is None:
            self._negative = (-self.values).sigmoid()
        return self._negative

    @property
    def slope(self) -> Tensor:
        return self.positive * self.negative

    def cross_entropy(self, target: Tensor) -> Tensor:
        """``-t log p - (1 - t) log(1 - p)``."""
        return F.binary_cross_entropy_with_logits(self.values, target, reduction="none")

    def cross_entropy_slope(self, target: Tensor) -> Tensor:
        """The derivative of the cross entropy with respect to the prediction."""
        return self.positive - target

    def log_confidence(self, confidence: Tensor) -> Tensor:
        """The logarithm of ``1 - |t - p|``, which may have underflowed where the prediction is certain and wrong."""
        return torch.where(confidence < _TINY, -self.values.abs(), confidence.clamp_min(_TINY).log())

    def log_confidence_slope(self, confidence: Tensor) -> Tensor:
        """The derivative of that logarithm with respect to the prediction, without sign."""
        return torch.where(confidence < _TINY, 1, self.slope / confidence.clamp_min(_TINY))


class Probabilities:
    """Predictions that are probabilities; attributes and methods as :class:`Logits`.

    Every logarithm is at least -100, and derivatives are of bounded size where p is 0 or 1, as in PyTorch's.
    """

    slope = 1.0

    def __init__(self, values: Tensor) -> None:
        self.positive, self.negative = values, 1 - values

    def cross_entropy(self, target: Tensor) -> Tensor:
        return -target * _bounded_log(self.positive) - (1 - target) * _bounded_log(self.negative)

    def cross_entropy_slope(self, target: Tensor) -> Tensor:
        return (self.positive - target) / (self.positive * self.negative).clamp_min(1e-12)

    def log_confidence(self, confidence: Tensor) -> Tensor:
        return _bounded_log(confidence)

    def log_confidence_slope(self, confidence: Tensor) -> Tensor:
        return 1 / confidence.clamp_min(1e-12)


def _bounded_log(probability: Tensor) -> Tensor:
    # A plain clamp of the logarithm would make autograd multiply 0 by the infinite derivative at 0.
    zero = probability <= 0
    return torch.where(zero, -100, torch.where(zero, 1, probability).log().clamp_min(-100))


Prediction = Logits | Probabilities
Terms = tuple[Tensor, ...]


class Formula(NamedTuple):
    """A loss that sums terms over the pixels of a sample.

    Attributes:
        name: of its room and its op.
        terms: (prediction, target, options) to a tensor for each sum, elementwise.
        finish: (sums (B,), pixels of a sample, options) to the loss (B,) and the coefficients, (B,) each.
        slope: (prediction, target, coefficients, options) to the derivative, elementwise; coefficients broadcast.
        sums: how many terms there are.
        coefficients: how many of those there are.
    """

    name: str
    terms: Callable[[Prediction, Tensor, Sequence[float]], Terms]
    finish: Callable[[Terms, int, Sequence[float]], tuple[Tensor, Terms]]
    slope: Callable[[Prediction, Tensor, Terms, Sequence[float]], Tensor]
    sums: int = 1
    coefficients: int = 1


class Arguments(NamedTuple):
    """What a loss of this kind is called with beside prediction and target.

    Attributes:
        options: numbers of the formula.
        ignore_label: pixels with this target do not count; None: all count.
        probabilities: whether predictions are probabilities, not logits.
    """

    options: Sequence[float] = ()
    ignore_label: float | None = None
    probabilities: bool = False
