"""Enhanced-alignment measure (E_phi) over 256 thresholds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dismetrics.pairs import EPSILON, Images, Pair, for_each_image
from dismetrics.threshold_curve import ThresholdCurve, over_thresholds


def e_measure(pred: Images, gt: Images) -> ThresholdCurve:
    """Enhanced alignment of the thresholded prediction with the truth at 256 thresholds; higher is better.

    With a = P - mean(P) and b = G - mean(G): E = sum (1 + 2 a b / (a^2 + b^2))^2 / 4 / (H W - 1). For a truth
    without foreground (background) the sum is the number of background (foreground) pixels of the prediction.

    Papers print the mean, as "E^m" (DIS5K, IS-Net).

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch. It is stretched to [0, 1] by its
            own minimum and maximum first.
        gt: bool, or uint8 and true above 128; same shape.

    Returns:
        Floats and a curve of float64 (256,); for a batch (B,) and (B, 256).

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Numerics: the official code divides by H W - 1, so a perfect prediction has H W / (H W - 1), and one pixel 4.5e15.
    Source: Fan et al., IJCAI 2018; definition of PySODMetrics.
    """
    return for_each_image(e_measure_of, pred, gt)


def e_measure_of(pair: Pair) -> ThresholdCurve:
    """E-measure of a pair."""
    return over_thresholds(pair, lambda true, false: _e(true, false, pair.foreground, pair.size))


def _e(true: Any, false: Any, foreground: int, size: int) -> NDArray[np.float64]:
    found = true + false
    if foreground == 0:
        total = size - found
    elif foreground == size:
        total = found
    else:
        p, g = found / size, foreground / size
        missed = foreground - true
        total = true * _alignment(1 - p, 1 - g) + false * _alignment(1 - p, -g)
        total = total + missed * _alignment(-p, 1 - g) + (size - found - missed) * _alignment(-p, -g)
    return np.asarray(total / (size - 1 + EPSILON))


def _alignment(p: Any, g: float) -> Any:
    return (1 + 2 * p * g / (p**2 + g**2 + EPSILON)) ** 2 / 4
