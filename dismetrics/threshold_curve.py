"""What a measure is at 256 thresholds, and at the adaptive and the binary one."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dismetrics.confusion import Confusion, confusion_at_thresholds
from dismetrics.pairs import Images, Pair, Score, for_each_image

Measure = Callable[[Confusion], NDArray[np.float64]]


class ThresholdCurve(NamedTuple):
    """A measure of an image, or of each image of a batch, over the thresholds of its prediction.

    The prediction is stretched to [0, 1] by its own minimum and maximum first.

    Attributes:
        maximum: the greatest value of the curve.
        mean: the mean of the curve.
        adaptive: the value at the adaptive threshold, min(2 mean(pred), 1).
        curve: the values at the 256 thresholds, which fall from 255 to 0 (value >= threshold); float64 (256,).
        binary: the value of the prediction above one half.
    """

    maximum: Score
    mean: Score
    adaptive: Score
    curve: NDArray[np.float64]
    binary: Score


def threshold_curve(measure: Measure, pred: Images, gt: Images, normalize: bool = True) -> ThresholdCurve:
    """Apply a measure of counts at every threshold of one image, or of each of a batch.

    Args:
        measure: takes counts, arrays of one shape; gives an array of that shape.
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch.
        gt: bool, or uint8 and true above 128; same shape.
        normalize: stretch the prediction to [0, 1] by its own minimum and maximum first; a constant one stays.

    Returns:
        Floats and a curve of float64 (256,); for a batch (B,) and (B, 256).

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.
    """
    return for_each_image(lambda pair: threshold_curve_of(measure, pair), pred, gt, normalize)


def threshold_curve_of(measure: Measure, pair: Pair) -> ThresholdCurve:
    """Threshold curve of a pair."""
    values = measure(confusion_at_thresholds(pair))
    curve, (adaptive, binary) = values[:-2], values[-2:].tolist()
    return ThresholdCurve(float(curve.max()), float(curve.mean()), adaptive, curve, binary)
