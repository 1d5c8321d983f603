"""Metrics of dichotomous image segmentation, equal to the official values."""

from dismetrics.boundary_iou import BoundaryIoUCurve, boundary_iou, boundary_iou_curve
from dismetrics.e_measure import e_measure
from dismetrics.evaluate import METRICS, Evaluator
from dismetrics.f_measure import f_measure
from dismetrics.human_correction_effort import HumanCorrectionEffort, human_correction_effort
from dismetrics.mean_absolute_error import mean_absolute_error
from dismetrics.mean_boundary_accuracy import mean_boundary_accuracy
from dismetrics.s_measure import s_measure
from dismetrics.shape_complexity import ShapeComplexity, shape_complexity
from dismetrics.threshold_curve import ThresholdCurve
from dismetrics.weighted_f_measure import weighted_f_measure

__all__ = [
    "METRICS",
    "BoundaryIoUCurve",
    "Evaluator",
    "HumanCorrectionEffort",
    "ShapeComplexity",
    "ThresholdCurve",
    "boundary_iou",
    "boundary_iou_curve",
    "e_measure",
    "f_measure",
    "human_correction_effort",
    "mean_absolute_error",
    "mean_boundary_accuracy",
    "s_measure",
    "shape_complexity",
    "weighted_f_measure",
]
