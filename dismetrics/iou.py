"""Intersection over union (IoU, Jaccard index) over 256 thresholds."""

import numpy as np
from numpy.typing import NDArray

from dismetrics.confusion import Confusion, ratio
from dismetrics.pairs import Images
from dismetrics.threshold_curve import ThresholdCurve, threshold_curve


def iou(pred: Images, gt: Images, normalize: bool = True) -> ThresholdCurve:
    """Intersection over union of the thresholded prediction and the truth; higher is better.

    IoU = TP / (TP + FP + FN), 0 where both are empty.

    Args, Returns, Raises: as `dismetrics.threshold_curve.threshold_curve`.

    Source: definition of PySODMetrics (IOUHandler).
    """
    return threshold_curve(iou_at, pred, gt, normalize)


def iou_at(counts: Confusion) -> NDArray[np.float64]:
    """Intersection over union of counts."""
    return ratio(counts.tp, counts.tp + counts.fp + counts.fn)
