"""Enhanced-alignment measure (E_phi) over 256 thresholds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dismetrics.confusion import Confusion
from dismetrics.pairs import EPSILON, Images
from dismetrics.threshold_curve import ThresholdCurve, threshold_curve


def e_measure(pred: Images, gt: Images, normalize: bool = True) -> ThresholdCurve:
    """Enhanced alignment of the thresholded prediction with the truth at 256 thresholds; higher is better.

    With a = P - mean(P) and b = G - mean(G): E = sum (1 + 2 a b / (a^2 + b^2))^2 / 4 / (H W - 1). For a truth
    without foreground (background) the sum is the number of background (foreground) pixels of the prediction.

    Papers print the mean, as "E^m" (DIS5K, IS-Net).

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch.
        gt: bool, or uint8 and true above 128; same shape.
        normalize: stretch the prediction to [0, 1] by its own minimum and maximum first; a constant one stays.

    Returns:
        Floats and a curve of float64 (256,); for a batch (B,) and (B, 256).

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Numerics: the official code divides by H W - 1, so a perfect prediction has H W / (H W - 1), and one pixel 4.5e15.
    Source: Fan et al., IJCAI 2018; definition of PySODMetrics.
    """
    return threshold_curve(e_measure_at, pred, gt, normalize)


def e_measure_at(counts: Confusion) -> NDArray[np.float64]:
    """E-measure of counts."""
    tp, fp, tn, fn = counts
    p, g = (tp + fp) / counts.size, (tp + fn) / counts.size
    total = tp * _alignment(1 - p, 1 - g) + fp * _alignment(1 - p, -g)
    total = total + fn * _alignment(-p, 1 - g) + tn * _alignment(-p, -g)
    total = np.where(g == 0, tn, np.where(g == 1, tp, total))
    return np.asarray(total / (counts.size - 1 + EPSILON))


def _alignment(p: Any, g: Any) -> Any:
    return (1 + 2 * p * g / (p**2 + g**2 + EPSILON)) ** 2 / 4
