"""Rates of right and wrong pixels over 256 thresholds.

All take (pred, gt) and give a `ThresholdCurve`; arguments and errors are those of
`dismetrics.threshold_curve.threshold_curve`. A rate of no pixels is 0.

Source: definitions of PySODMetrics (FmeasureV2 and its handlers).
"""

import numpy as np
from numpy.typing import NDArray

from dismetrics.confusion import Confusion, ratio
from dismetrics.pairs import Images
from dismetrics.threshold_curve import ThresholdCurve, threshold_curve


def precision(pred: Images, gt: Images, normalize: bool = True) -> ThresholdCurve:
    """Share of the predicted foreground that is foreground, TP / (TP + FP); higher is better."""
    return threshold_curve(precision_at, pred, gt, normalize)


def precision_at(counts: Confusion) -> NDArray[np.float64]:
    """Precision of counts."""
    return ratio(counts.tp, counts.tp + counts.fp)


def recall(pred: Images, gt: Images, normalize: bool = True) -> ThresholdCurve:
    """Share of the foreground that is predicted (sensitivity), TP / (TP + FN); higher is better."""
    return threshold_curve(recall_at, pred, gt, normalize)


def recall_at(counts: Confusion) -> NDArray[np.float64]:
    """Recall of counts."""
    return ratio(counts.tp, counts.tp + counts.fn)


def specificity(pred: Images, gt: Images, normalize: bool = True) -> ThresholdCurve:
    """Share of the background that is predicted as such, TN / (TN + FP); higher is better."""
    return threshold_curve(specificity_at, pred, gt, normalize)


def specificity_at(counts: Confusion) -> NDArray[np.float64]:
    """Specificity of counts."""
    return ratio(counts.tn, counts.tn + counts.fp)


def false_positive_rate(pred: Images, gt: Images, normalize: bool = True) -> ThresholdCurve:
    """Share of the background that is predicted as foreground, FP / (TN + FP); lower is better."""
    return threshold_curve(false_positive_rate_at, pred, gt, normalize)


def false_positive_rate_at(counts: Confusion) -> NDArray[np.float64]:
    """False positive rate of counts."""
    return ratio(counts.fp, counts.tn + counts.fp)


def balanced_error_rate(pred: Images, gt: Images, normalize: bool = True) -> ThresholdCurve:
    """Mean error of foreground and background, 1 - (recall + specificity) / 2; lower is better.

    Papers print it (BER) of binary predictions, `binary`; `maximum` is the worst threshold's.
    """
    return threshold_curve(balanced_error_rate_at, pred, gt, normalize)


def balanced_error_rate_at(counts: Confusion) -> NDArray[np.float64]:
    """Balanced error rate of counts."""
    return np.asarray(1 - (recall_at(counts) + specificity_at(counts)) / 2)


def overall_accuracy(pred: Images, gt: Images, normalize: bool = True) -> ThresholdCurve:
    """Share of all pixels that are right, (TP + TN) / (TP + FP + TN + FN); higher is better."""
    return threshold_curve(overall_accuracy_at, pred, gt, normalize)


def overall_accuracy_at(counts: Confusion) -> NDArray[np.float64]:
    """Overall accuracy of counts."""
    return ratio(counts.tp + counts.tn, counts.size)


def kappa(pred: Images, gt: Images, normalize: bool = True) -> ThresholdCurve:
    """Accuracy beyond an agreement by chance, (accuracy - chance) / (1 - chance); higher is better.

    Numerics: chance = ((TP + FP)(TP + FN) + (TN + FN)(TN + TP)) / (H W)^2, as PySODMetrics has it. Cohen's kappa
    has (TN + FP) as the last factor.
    """
    return threshold_curve(kappa_at, pred, gt, normalize)


def kappa_at(counts: Confusion) -> NDArray[np.float64]:
    """Kappa of counts."""
    tp, fp, tn, fn = counts
    chance = ratio((tp + fp) * (tp + fn) + (tn + fn) * (tn + tp), counts.size**2)
    return ratio(overall_accuracy_at(counts) - chance, 1 - chance)
