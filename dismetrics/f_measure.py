"""F-measure (F_beta) over 256 thresholds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dismetrics.pairs import Images, Pair, for_each_image
from dismetrics.threshold_curve import ThresholdCurve, over_thresholds

BETA_SQUARED = 0.3


def f_measure(pred: Images, gt: Images) -> ThresholdCurve:
    """F-measure of precision and recall at 256 thresholds; higher is better.

    F = 1.3 precision recall / (0.3 precision + recall), 0 without a true positive.

    Papers print the maximum, as "max F" (DIS5K, IS-Net): of the curve averaged over all images of a set, so use
    `Evaluator`; the average of the images' own maxima is larger.

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch. It is stretched to [0, 1] by its
            own minimum and maximum first.
        gt: bool, or uint8 and true above 128; same shape.

    Returns:
        Floats and a curve of float64 (256,); for a batch (B,) and (B, 256).

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Source: Achanta et al., CVPR 2009; definition of PySODMetrics (Fmeasure).
    """
    return for_each_image(f_measure_of, pred, gt)


def f_measure_of(pair: Pair) -> ThresholdCurve:
    """F-measure of a pair."""
    return over_thresholds(pair, lambda true, false: _f(true, false, pair.foreground))


def _f(true: Any, false: Any, foreground: int) -> NDArray[np.float64]:
    precision = true / np.maximum(true + false, 1)
    recall = true / max(foreground, 1)
    denominator = BETA_SQUARED * precision + recall
    return np.asarray((1 + BETA_SQUARED) * precision * recall / np.where(denominator == 0, 1, denominator))
