"""Handlers: which measures of counts PySODMetrics' `FmeasureV2` gives, and in which form."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dismetrics.confusion import Confusion
from dismetrics.dice import dice_at
from dismetrics.f_measure import f_measure_at
from dismetrics.iou import iou_at
from dismetrics.rates import (
    balanced_error_rate_at,
    false_positive_rate_at,
    kappa_at,
    overall_accuracy_at,
    precision_at,
    recall_at,
    specificity_at,
)
from dismetrics.threshold_curve import Measure


class Handler:
    """A measure of counts for `FmeasureV2`.

    Args:
        with_dynamic: give the curve.
        with_adaptive: give the value at the adaptive threshold.
        with_binary: give the value of the prediction above one half.
        sample_based: average its values over the images; if not, give the value of the counts of all images together.
    """

    measure: Measure

    def __init__(
        self, with_dynamic: bool, with_adaptive: bool, *, with_binary: bool = False, sample_based: bool = True
    ) -> None:
        self.wanted = {"dynamic": with_dynamic, "adaptive": with_adaptive, "binary": with_binary}
        self.sample_based = sample_based

    def __call__(self, tp: Any, fp: Any, tn: Any, fn: Any) -> NDArray[Any]:
        """Measure of counts, numbers or arrays."""
        return self.measure(Confusion(tp, fp, tn, fn))

    def results(self, counts: Confusion) -> dict[str, Any]:
        """What is asked for, of the counts of all images: (N, 258)."""
        averages = self(*counts).mean(axis=0)
        binary = averages[-1] if self.sample_based else self(*(np.sum(each, axis=0)[-1] for each in counts))[()]
        found = {"dynamic": averages[:-2], "adaptive": averages[-2], "binary": binary}
        return {key: value for key, value in found.items() if self.wanted[key]}


class FmeasureHandler(Handler):
    """F-measure; `beta` is beta squared."""

    def __init__(
        self,
        with_dynamic: bool,
        with_adaptive: bool,
        *,
        with_binary: bool = False,
        sample_based: bool = True,
        beta: float = 0.3,
    ) -> None:
        super().__init__(with_dynamic, with_adaptive, with_binary=with_binary, sample_based=sample_based)
        self.beta = beta

    def measure(self, counts: Confusion) -> NDArray[Any]:
        """F-measure of counts."""
        return f_measure_at(counts, self.beta)


class PrecisionHandler(Handler):
    """Precision."""

    measure = staticmethod(precision_at)


class RecallHandler(Handler):
    """Recall."""

    measure = staticmethod(recall_at)


class SpecificityHandler(Handler):
    """Specificity."""

    measure = staticmethod(specificity_at)


class FPRHandler(Handler):
    """False positive rate."""

    measure = staticmethod(false_positive_rate_at)


class IOUHandler(Handler):
    """Intersection over union."""

    measure = staticmethod(iou_at)


class DICEHandler(Handler):
    """Dice coefficient."""

    measure = staticmethod(dice_at)


class BERHandler(Handler):
    """Balanced error rate."""

    measure = staticmethod(balanced_error_rate_at)


class OverallAccuracyHandler(Handler):
    """Overall accuracy."""

    measure = staticmethod(overall_accuracy_at)


class KappaHandler(Handler):
    """Kappa."""

    measure = staticmethod(kappa_at)


TPRHandler = SensitivityHandler = RecallHandler
TNRHandler = SpecificityHandler
