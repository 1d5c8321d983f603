"""PySODMetrics' classes with this package's arithmetic: a script changes its import and nothing else.

    from dismetrics import pysod as py_sod_metrics

Every class takes the arguments of its namesake in PySODMetrics 1.6.2; `step(pred, gt, normalize=True)` counts an image,
`get_results()` gives the same keys and shapes, averaged over the images. Arrays are NumPy's, (H, W): with `normalize`
grey values in [0, 255], the truth above 128; without it `pred` in [0, 1], which is not stretched, and a bool `gt`.

Not here: the size-invariant variants, and `CamouflageContextMeasure`, which needs the photo.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dismetrics.confusion import Confusion, confusion_at_thresholds
from dismetrics.context_measure import context_measure_of
from dismetrics.dice import dice_at
from dismetrics.e_measure import e_measure_at
from dismetrics.f_measure import f_measure_at
from dismetrics.human_correction_effort import human_correction_effort_of
from dismetrics.iou import iou_at
from dismetrics.mean_absolute_error import mean_absolute_error_of
from dismetrics.multiscale_iou import multiscale_iou_of
from dismetrics.pairs import Pair
from dismetrics.rates import (
    balanced_error_rate_at,
    false_positive_rate_at,
    kappa_at,
    overall_accuracy_at,
    precision_at,
    recall_at,
    specificity_at,
)
from dismetrics.s_measure import s_measure_of
from dismetrics.threshold_curve import Measure, threshold_curve_of
from dismetrics.weighted_f_measure import weighted_f_measure_of

Array = NDArray[Any]


class _Averaged(ABC):
    """Results of images, averaged entry by entry."""

    def __init__(self) -> None:
        self._results: list[dict[str, Any]] = []

    def step(self, pred: Array, gt: Array, normalize: bool = True) -> None:
        """Count an image."""
        self._results.append(self._measure(_pair(pred, gt, normalize)))

    def get_results(self) -> dict[str, Any]:
        """Average over all images, by key."""
        _check_counted(self._results)
        averages: dict[str, Any] = _average(self._results)
        return averages

    @abstractmethod
    def _measure(self, pair: Pair) -> dict[str, Any]: ...


class MAE(_Averaged):
    """Mean absolute error: mae."""

    def _measure(self, pair: Pair) -> dict[str, Any]:
        return {"mae": mean_absolute_error_of(pair)}


class Smeasure(_Averaged):
    """Structure measure: sm."""

    def __init__(self, alpha: float = 0.5) -> None:
        super().__init__()
        self.alpha = alpha

    def _measure(self, pair: Pair) -> dict[str, Any]:
        return {"sm": s_measure_of(pair, self.alpha)}


class Emeasure(_Averaged):
    """Enhanced-alignment measure: em with adp and curve."""

    def _measure(self, pair: Pair) -> dict[str, Any]:
        values = threshold_curve_of(e_measure_at, pair)
        return {"em": {"adp": values.adaptive, "curve": values.curve}}


class Fmeasure(_Averaged):
    """F-measure: fm with adp and curve, pr with p and r; `beta` is beta squared."""

    def __init__(self, beta: float = 0.3) -> None:
        super().__init__()
        self.beta = beta

    def _measure(self, pair: Pair) -> dict[str, Any]:
        values = threshold_curve_of(lambda counts: f_measure_at(counts, self.beta), pair)
        precision, recall = (threshold_curve_of(measure, pair).curve for measure in (precision_at, recall_at))
        return {"fm": {"adp": values.adaptive, "curve": values.curve}, "pr": {"p": precision, "r": recall}}


class WeightedFmeasure(_Averaged):
    """Weighted F-measure: wfm; `beta` is beta squared."""

    def __init__(self, beta: float = 1) -> None:
        super().__init__()
        self.beta = beta

    def _measure(self, pair: Pair) -> dict[str, Any]:
        return {"wfm": weighted_f_measure_of(pair, self.beta)}


class HumanCorrectionEffortMeasure(_Averaged):
    """Human correction effort: hce. Unlike the official script, of the prediction stretched and above one half."""

    def __init__(self, relax: int = 5, epsilon: float = 2.0) -> None:
        super().__init__()
        self.relax = relax
        self.epsilon = epsilon

    def _measure(self, pair: Pair) -> dict[str, Any]:
        mask = pair.normalized > 0.5
        clicks = human_correction_effort_of(Pair(mask * np.uint8(255), pair.truth), self.relax, self.epsilon).total
        # A wrong region that fills the image: one click here, none in the official script.
        fills = pair.foreground in (0, pair.size) and bool((mask != pair.truth).all())
        return {"hce": clicks + fills}


class ContextMeasure(_Averaged):
    """Context measure: cm; `beta2` is beta squared."""

    def __init__(self, beta2: float = 1.0, alpha: float = 6.0) -> None:
        super().__init__()
        self.beta2 = beta2
        self.alpha = alpha

    def _measure(self, pair: Pair) -> dict[str, Any]:
        return {"cm": context_measure_of(pair, self.beta2, self.alpha)}


class MSIoU(_Averaged):
    """Multi-scale IoU: dynamic (of the thresholds 0 to 256), adaptive and binary, as asked for."""

    def __init__(
        self, with_dynamic: bool, with_adaptive: bool, *, with_binary: bool = False, num_levels: int = 10
    ) -> None:
        super().__init__()
        self.wanted = {"dynamic": with_dynamic, "adaptive": with_adaptive, "binary": with_binary}
        self.num_levels = num_levels

    def _measure(self, pair: Pair) -> dict[str, Any]:
        values = multiscale_iou_of(pair, self.num_levels)
        found = {"dynamic": values.curve[::-1], "adaptive": values.adaptive, "binary": values.binary}
        return {key: value for key, value in found.items() if self.wanted[key]}


class FmeasureV2:
    """Measures of counts: of each handler, by its name, what it asks for of dynamic, adaptive and binary."""

    def __init__(self, metric_handlers: dict[str, "_Handler"] | None = None) -> None:
        self._handlers = metric_handlers or {}
        self._counts: list[Confusion] = []

    def add_handler(self, handler_name: str, metric_handler: "_Handler") -> None:
        """Ask for one more measure."""
        self._handlers[handler_name] = metric_handler

    def step(self, pred: Array, gt: Array, normalize: bool = True) -> None:
        """Count an image."""
        if not self._handlers:
            raise ValueError("step: expected a handler to have been added")
        self._counts.append(confusion_at_thresholds(_pair(pred, gt, normalize)))

    def get_results(self) -> dict[str, Any]:
        """Average over all images, by handler."""
        _check_counted(self._counts)
        counts = Confusion(*map(np.stack, zip(*self._counts, strict=True)))
        return {name: handler.results(counts) for name, handler in self._handlers.items()}


class _Handler:
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

    def __call__(self, tp: Any, fp: Any, tn: Any, fn: Any) -> Array:
        """Measure of counts, numbers or arrays."""
        return self.measure(Confusion(tp, fp, tn, fn))

    def results(self, counts: Confusion) -> dict[str, Any]:
        """What is asked for, of the counts of all images: (N, 258)."""
        averages = self(*counts).mean(axis=0)
        binary = averages[-1] if self.sample_based else self(*(np.sum(each, axis=0)[-1] for each in counts))[()]
        found = {"dynamic": averages[:-2], "adaptive": averages[-2], "binary": binary}
        return {key: value for key, value in found.items() if self.wanted[key]}


class FmeasureHandler(_Handler):
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

    def measure(self, counts: Confusion) -> Array:
        """F-measure of counts."""
        return f_measure_at(counts, self.beta)


class PrecisionHandler(_Handler):
    """Precision."""

    measure = staticmethod(precision_at)


class RecallHandler(_Handler):
    """Recall."""

    measure = staticmethod(recall_at)


class SpecificityHandler(_Handler):
    """Specificity."""

    measure = staticmethod(specificity_at)


class FPRHandler(_Handler):
    """False positive rate."""

    measure = staticmethod(false_positive_rate_at)


class IOUHandler(_Handler):
    """Intersection over union."""

    measure = staticmethod(iou_at)


class DICEHandler(_Handler):
    """Dice coefficient."""

    measure = staticmethod(dice_at)


class BERHandler(_Handler):
    """Balanced error rate."""

    measure = staticmethod(balanced_error_rate_at)


class OverallAccuracyHandler(_Handler):
    """Overall accuracy."""

    measure = staticmethod(overall_accuracy_at)


class KappaHandler(_Handler):
    """Kappa."""

    measure = staticmethod(kappa_at)


TPRHandler = SensitivityHandler = RecallHandler
TNRHandler = SpecificityHandler


class _AsItIs(Pair):
    """A pair whose prediction is not stretched, and counted in its own precision."""

    @cached_property
    def normalized(self) -> Array:
        return self.prediction


def _pair(pred: Array, gt: Array, normalize: bool) -> Pair:
    if pred.shape != gt.shape or pred.ndim != 2:
        raise ValueError(f"pred and gt: expected one shape (H, W), got {pred.shape} and {gt.shape}")
    if normalize:
        return Pair(pred if pred.dtype == np.uint8 else pred / 255, gt > 128)
    if pred.dtype not in (np.float32, np.float64):
        raise TypeError(f"pred: expected float32 or float64 where normalize is False, got {pred.dtype}")
    if gt.dtype != np.bool_:
        raise TypeError(f"gt: expected bool where normalize is False, got {gt.dtype}")
    if not (pred.min() >= 0 and pred.max() <= 1):
        raise ValueError(f"pred: expected values in [0, 1], got {pred.min():g} to {pred.max():g}")
    return _AsItIs(pred, gt)


def _check_counted(images: list[Any]) -> None:
    if not images:
        raise ValueError("get_results: no image has been counted")


def _average(results: list[Any]) -> Any:
    if isinstance(results[0], dict):
        return {key: _average([result[key] for result in results]) for key in results[0]}
    return np.mean(results, axis=0, dtype=np.float64)
