"""F-measure (F_beta) over 256 thresholds."""

import numpy as np
from numpy.typing import NDArray

from dismetrics.confusion import Confusion, ratio
from dismetrics.pairs import Images
from dismetrics.rates import precision_at, recall_at
from dismetrics.threshold_curve import ThresholdCurve, threshold_curve

BETA_SQUARED = 0.3


def f_measure(pred: Images, gt: Images, normalize: bool = True) -> ThresholdCurve:
    """F-measure of precision and recall at 256 thresholds; higher is better.

    F = 1.3 precision recall / (0.3 precision + recall), 0 without a true positive.

    Papers print the maximum, as "max F" (DIS5K, IS-Net): of the curve averaged over all images of a set, so use
    `Evaluator`; the average of the images' own maxima is larger.

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch.
        gt: bool, or uint8 and true above 128; same shape.
        normalize: stretch the prediction to [0, 1] by its own minimum and maximum first; a constant one stays.

    Returns:
        Floats and a curve of float64 (256,); for a batch (B,) and (B, 256).

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Source: Achanta et al., CVPR 2009; definition of PySODMetrics (Fmeasure).
    """
    return threshold_curve(f_measure_at, pred, gt, normalize)


def f_measure_at(counts: Confusion, beta_squared: float = BETA_SQUARED) -> NDArray[np.float64]:
    """F-measure of counts."""
    precision, recall = precision_at(counts), recall_at(counts)
    return ratio((1 + beta_squared) * precision * recall, beta_squared * precision + recall)
