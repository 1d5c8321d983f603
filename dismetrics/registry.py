"""Every metric that an evaluator knows, by name."""

from collections.abc import Callable, Mapping
from typing import Any

from dismetrics.boundary_iou import boundary_iou_curve_of, boundary_iou_of
from dismetrics.context_measure import context_measure_of
from dismetrics.dice import dice_at
from dismetrics.e_measure import e_measure_at
from dismetrics.f_measure import f_measure_at
from dismetrics.human_correction_effort import human_correction_effort_of
from dismetrics.iou import iou_at
from dismetrics.mean_absolute_error import mean_absolute_error_of
from dismetrics.mean_boundary_accuracy import mean_boundary_accuracy_of
from dismetrics.mean_squared_error import mean_squared_error_of
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
from dismetrics.threshold_curve import Measure, ThresholdCurve, threshold_curve_of
from dismetrics.weighted_f_measure import weighted_f_measure_of


def _by_threshold(key: str, values: ThresholdCurve) -> dict[str, Any]:
    return {
        f"max_{key}": values.maximum,
        f"mean_{key}": values.mean,
        f"adaptive_{key}": values.adaptive,
        f"binary_{key}": values.binary,
        key: values.curve,
    }


def _hce(image: Pair) -> dict[str, Any]:
    parts = human_correction_effort_of(image)._asdict()
    return {"hce": parts.pop("total"), **{f"hce_{part}": value for part, value in parts.items()}}


def _boundary_iou_curve(image: Pair) -> dict[str, Any]:
    values = boundary_iou_curve_of(image)
    return {"max_boundary_iou": values.maximum, "mean_boundary_iou": values.mean, "boundary_iou": values.curve}


def _of_counts(key: str, measure: Measure) -> Callable[[Pair], dict[str, Any]]:
    return lambda image: _by_threshold(key, threshold_curve_of(measure, image))


METRICS: Mapping[str, Callable[[Pair], dict[str, Any]]] = {
    "f_measure": _of_counts("f", f_measure_at),
    "weighted_f_measure": lambda image: {"weighted_f": weighted_f_measure_of(image)},
    "mean_absolute_error": lambda image: {"mae": mean_absolute_error_of(image)},
    "s_measure": lambda image: {"s": s_measure_of(image)},
    "e_measure": _of_counts("e", e_measure_at),
    "human_correction_effort": _hce,
    "boundary_iou": lambda image: {"boundary_iou": boundary_iou_of(image)},
    "boundary_iou_curve": _boundary_iou_curve,
    "mean_boundary_accuracy": lambda image: {"mean_boundary_accuracy": mean_boundary_accuracy_of(image)},
    "iou": _of_counts("iou", iou_at),
    "dice": _of_counts("dice", dice_at),
    "precision": _of_counts("precision", precision_at),
    "recall": _of_counts("recall", recall_at),
    "specificity": _of_counts("specificity", specificity_at),
    "false_positive_rate": _of_counts("fpr", false_positive_rate_at),
    "balanced_error_rate": _of_counts("ber", balanced_error_rate_at),
    "overall_accuracy": _of_counts("accuracy", overall_accuracy_at),
    "kappa": _of_counts("kappa", kappa_at),
    "mean_squared_error": lambda image: {"mse": mean_squared_error_of(image)},
    "multiscale_iou": lambda image: _by_threshold("multiscale_iou", multiscale_iou_of(image)),
    "context_measure": lambda image: {"context": context_measure_of(image)},
}

# The six that the tables of DIS5K and its followers print.
DIS_METRICS = tuple(METRICS)[:6]
