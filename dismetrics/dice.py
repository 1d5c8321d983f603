"""Dice coefficient (F1) over 256 thresholds."""

import numpy as np
from numpy.typing import NDArray

from dismetrics.confusion import Confusion, ratio
from dismetrics.pairs import Images
from dismetrics.threshold_curve import ThresholdCurve, threshold_curve


def dice(pred: Images, gt: Images, normalize: bool = True) -> ThresholdCurve:
    """Overlap of the thresholded prediction and the truth in their mean size; higher is better.

    Dice = 2 TP / (2 TP + FP + FN), 0 where both are empty. It is the F-measure with beta = 1 (F1), and
    2 IoU / (1 + IoU).

    Args, Returns, Raises: as `dismetrics.threshold_curve.threshold_curve`.

    Source: definition of PySODMetrics (DICEHandler).
    """
    return threshold_curve(dice_at, pred, gt, normalize)


def dice_at(counts: Confusion) -> NDArray[np.float64]:
    """Dice coefficient of counts."""
    return ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)
