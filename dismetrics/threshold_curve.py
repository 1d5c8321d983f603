"""What a measure is at 256 thresholds, and at the adaptive one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dismetrics.pairs import Pair, Score


class ThresholdCurve(NamedTuple):
    """A measure of an image, or of each image of a batch, over the thresholds of its prediction.

    Attributes:
        maximum: the greatest value of the curve.
        mean: the mean of the curve.
        adaptive: the value at the adaptive threshold, min(2 mean(pred), 1).
        curve: the values at the 256 thresholds, which fall from 255 to 0 (value >= threshold); float64 (256,).
    """

    maximum: Score
    mean: Score
    adaptive: Score
    curve: NDArray[np.float64]


def over_thresholds(pair: Pair, measure: Callable[[Any, Any], NDArray[np.float64]]) -> ThresholdCurve:
    """Apply a measure of (true positives, false positives), numbers or arrays of them, at every threshold."""
    curve = measure(*pair.positives)
    return ThresholdCurve(float(curve.max()), float(curve.mean()), float(measure(*pair.adaptive_positives)), curve)
