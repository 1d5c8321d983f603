"""Weighted F-measure (F_beta^w)."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from dismetrics.pairs import EPSILON, Images, Pair, Score, for_each_image


def weighted_f_measure(pred: Images, gt: Images) -> Score:
    """F-measure whose errors are weighted by where they are; higher is better.

    An error of the foreground counts less where its neighbourhood is right (gaussian 7x7, sigma 5), one of the
    background counts 2 - 0.5^(d / 5) at distance d from the foreground. F = 2 R P / (R + P); 0 for an empty truth.

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch. It is stretched to [0, 1] by its
            own minimum and maximum first.
        gt: bool, or uint8 and true above 128; same shape.

    Returns:
        In [0, 1]: a float, or float64 (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Numerics: the gaussian is applied by rows and by columns: within 1e-12 of the official two-dimensional sum.
    Source: Margolin et al., CVPR 2014, with beta = 1; definition of PySODMetrics.
    """
    return for_each_image(weighted_f_measure_of, pred, gt)


def weighted_f_measure_of(pair: Pair, beta_squared: float = 1.0) -> Score:
    """Weighted F-measure of a pair; `beta_squared` is the weight of precision."""
    gt = pair.truth
    if pair.foreground == 0:
        return 0.0
    distance, (rows, columns) = distance_transform_edt(~gt, return_indices=True)
    error = np.abs(pair.normalized - gt)
    # A background pixel takes the error of its nearest foreground pixel, so that the edge is not blurred across.
    blurred = cv2.sepFilter2D(error[rows, columns], -1, _GAUSSIAN, _GAUSSIAN, borderType=cv2.BORDER_CONSTANT)
    missed = np.minimum(error, blurred)[gt]
    false = (error * (2 - np.exp(np.log(0.5) / 5 * distance)))[~gt].sum()
    true = pair.foreground - missed.sum()
    recall = 1 - missed.mean()
    precision = true / (true + false + EPSILON)
    return float((1 + beta_squared) * recall * precision / (recall + beta_squared * precision + EPSILON))


def _gaussian(radius: int, sigma: float) -> NDArray[np.float64]:
    weights = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum())


_GAUSSIAN = _gaussian(3, 5.0)
