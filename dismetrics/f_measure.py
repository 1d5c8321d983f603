"""F-measure (F_beta) over 256 thresholds."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dismetrics.pairs import Images, Pair, Score, for_each_image

BETA_SQUARED = 0.3


class FMeasure(NamedTuple):
    """F-measure of an image, or of each image of a batch."""

    maximum: Score
    mean: Score
    adaptive: Score
    curve: NDArray[np.float64]


def f_measure(pred: Images, gt: Images) -> FMeasure:
    """F-measure of precision and recall at 256 thresholds; higher is better.

    F = 1.3 precision recall / (0.3 precision + recall), 0 without a true positive.

    Papers print the maximum, as "max F" (DIS5K, IS-Net): of the curve averaged over all images of a set, so use
    `Evaluator`; the average of the images' own maxima is larger.

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch. It is stretched to [0, 1] by its
            own minimum and maximum first.
        gt: bool, or uint8 and true above 128; same shape.

    Returns:
        maximum, mean and curve over the thresholds, which fall from 255 to 0 (value >= threshold), and the
        value at the adaptive threshold, min(2 mean(pred), 1). Floats and float64 (256,); for a batch (B,), (B, 256).

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Source: Achanta et al., CVPR 2009; definition of PySODMetrics (Fmeasure).
    """
    return for_each_image(f_measure_of, pred, gt)


def f_measure_of(pair: Pair) -> FMeasure:
    """F-measure of a pair."""
    curve = _f(*pair.positives, pair.foreground)
    adaptive = _f(*pair.adaptive_positives, pair.foreground)
    return FMeasure(float(curve.max()), float(curve.mean()), float(adaptive), curve)


def _f(true: Any, false: Any, foreground: int) -> NDArray[np.float64]:
    precision = true / np.maximum(true + false, 1)
    recall = true / max(foreground, 1)
    denominator = BETA_SQUARED * precision + recall
    return np.asarray((1 + BETA_SQUARED) * precision * recall / np.where(denominator == 0, 1, denominator))
