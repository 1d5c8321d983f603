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
from dismetrics.e_measure import e_measure_at
from dismetrics.f_measure import f_measure_at
from dismetrics.human_correction_effort import human_correction_effort_of
from dismetrics.mean_absolute_error import mean_absolute_error_of
from dismetrics.multiscale_iou import multiscale_iou_of
from dismetrics.pairs import Pair
from dismetrics.pysod_handlers import (
    BERHandler,
    DICEHandler,
    FmeasureHandler,
    FPRHandler,
    Handler,
    IOUHandler,
    KappaHandler,
    OverallAccuracyHandler,
    PrecisionHandler,
    RecallHandler,
    SensitivityHandler,
    SpecificityHandler,
    TNRHandler,
    TPRHandler,
)
from dismetrics.rates import precision_at, recall_at
from dismetrics.s_measure import s_measure_of
from dismetrics.threshold_curve import threshold_curve_of
from dismetrics.weighted_f_measure import weighted_f_measure_of

__all__ = [
    "MAE",
    "BERHandler",
    "ContextMeasure",
    "DICEHandler",
    "Emeasure",
    "FPRHandler",
    "Fmeasure",
    "FmeasureHandler",
    "FmeasureV2",
    "HumanCorrectionEffortMeasure",
    "IOUHandler",
    "KappaHandler",
    "MSIoU",
    "OverallAccuracyHandler",
    "PrecisionHandler",
    "RecallHandler",
    "SensitivityHandler",
    "Smeasure",
    "SpecificityHandler",
    "TNRHandler",
    "TPRHandler",
    "WeightedFmeasure",
]

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

    def __init__(self, metric_handlers: dict[str, Handler] | None = None) -> None:
        self._handlers = metric_handlers or {}
        self._counts: list[Confusion] = []

    def add_handler(self, handler_name: str, metric_handler: Handler) -> None:
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


class _AsItIs(Pair):
    """A pair whose prediction is not stretched, and cut into steps in its own precision."""

    @property
    def values(self) -> Array:
        return self.prediction

    @property
    def normalized(self) -> Array:
        return self.prediction

    @property
    def steps(self) -> NDArray[np.uint8]:
        return (self.prediction * 255).astype(np.uint8)

    @cached_property
    def histogram(self) -> NDArray[np.int64]:
        return np.stack([np.bincount(self.steps[where], minlength=256) for where in (~self.truth, self.truth)])


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
    return _AsItIs(pred, gt, normalize)


def _check_counted(images: list[Any]) -> None:
    if not images:
        raise ValueError("get_results: no image has been counted")


def _average(results: list[Any]) -> Any:
    if isinstance(results[0], dict):
        return {key: _average([result[key] for result in results]) for key in results[0]}
    return np.mean(results, axis=0, dtype=np.float64)
