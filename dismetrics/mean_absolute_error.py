"""Mean absolute error (MAE, M)."""

import numpy as np

from dismetrics.pairs import Images, Pair, Score, for_each_image


def mean_absolute_error(pred: Images, gt: Images, normalize: bool = True) -> Score:
    """Mean absolute difference of the normalised prediction and the truth; lower is better.

    MAE = sum |P - G| / (H W).

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch.
        gt: bool, or uint8 and true above 128; same shape.
        normalize: stretch the prediction to [0, 1] by its own minimum and maximum first; a constant one stays.

    Returns:
        In [0, 1]: a float, or float64 (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Source: PySODMetrics. The IS-Net code's own value differs: it does not stretch the prediction.
    """
    return for_each_image(mean_absolute_error_of, pred, gt, normalize)


def mean_absolute_error_of(pair: Pair) -> Score:
    """Mean absolute error of a pair."""
    spread = pair.spread.pooled(0)
    return float(spread.count @ np.abs(spread.mean - [0, 1]) / pair.size)
