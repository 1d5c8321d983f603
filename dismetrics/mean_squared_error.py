"""Mean squared error (MSE)."""

import numpy as np

from dismetrics.pairs import Images, Pair, Score, for_each_image


def mean_squared_error(pred: Images, gt: Images, normalize: bool = True) -> Score:
    """Mean squared difference of the normalised prediction and the truth; lower is better.

    MSE = sum (P - G)^2 / (H W).

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch.
        gt: bool, or uint8 and true above 128; same shape.
        normalize: stretch the prediction to [0, 1] by its own minimum and maximum first; a constant one stays.

    Returns:
        In [0, 1]: a float, or float64 (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Source: evaluation code of BiRefNet.
    """
    return for_each_image(mean_squared_error_of, pred, gt, normalize)


def mean_squared_error_of(pair: Pair) -> Score:
    """Mean squared error of a pair."""
    return float(np.square(pair.normalized - pair.truth).mean())
