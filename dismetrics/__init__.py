"""Metrics of dichotomous image segmentation, equal to the official values."""

from dismetrics.boundary_iou import BoundaryIoUCurve, boundary_iou, boundary_iou_curve
from dismetrics.confusion import Confusion, confusion
from dismetrics.context_measure import context_measure
from dismetrics.dice import dice
from dismetrics.e_measure import e_measure
from dismetrics.evaluate import Evaluator
from dismetrics.f_measure import f_measure
from dismetrics.human_correction_effort import HumanCorrectionEffort, human_correction_effort
from dismetrics.iou import iou
from dismetrics.isnet_measures import (
    IsnetFMeasure,
    isnet_f_measure,
    isnet_f_measure_of_set,
    isnet_mean_absolute_error,
)
from dismetrics.mean_absolute_error import mean_absolute_error
from dismetrics.mean_boundary_accuracy import mean_boundary_accuracy
from dismetrics.mean_squared_error import mean_squared_error
from dismetrics.multiscale_iou import multiscale_iou
from dismetrics.rates import (
    balanced_error_rate,
    false_positive_rate,
    kappa,
    overall_accuracy,
    precision,
    recall,
    specificity,
)
from dismetrics.registry import DIS_METRICS, METRICS
from dismetrics.s_measure import s_measure
from dismetrics.shape_complexity import ShapeComplexity, shape_complexity, split_by_complexity
from dismetrics.threshold_curve import ThresholdCurve
from dismetrics.weighted_f_measure import weighted_f_measure

__all__ = [
    "DIS_METRICS",
    "METRICS",
    "BoundaryIoUCurve",
    "Confusion",
    "Evaluator",
    "HumanCorrectionEffort",
    "IsnetFMeasure",
    "ShapeComplexity",
    "ThresholdCurve",
    "balanced_error_rate",
    "boundary_iou",
    "boundary_iou_curve",
    "confusion",
    "context_measure",
    "dice",
    "e_measure",
    "f_measure",
    "false_positive_rate",
    "human_correction_effort",
    "iou",
    "isnet_f_measure",
    "isnet_f_measure_of_set",
    "isnet_mean_absolute_error",
    "kappa",
    "mean_absolute_error",
    "mean_boundary_accuracy",
    "mean_squared_error",
    "multiscale_iou",
    "overall_accuracy",
    "precision",
    "recall",
    "s_measure",
    "shape_complexity",
    "specificity",
    "split_by_complexity",
    "weighted_f_measure",
]
