"""Structure measure (S_alpha)."""

import math

import numpy as np
from numpy.typing import NDArray

from dismetrics.pairs import EPSILON, Images, Pair, Score, for_each_image
from dismetrics.spread import Spread


def s_measure(pred: Images, gt: Images, normalize: bool = True) -> Score:
    """Structural similarity of the normalised prediction and the truth; higher is better.

    S = max(0, (S_object + S_region) / 2): the object part compares the prediction's mean and spread in foreground and
    background, the region part a structural similarity in the four quadrants around the truth's centroid. For
    an empty truth S = 1 - mean(P), for a full one mean(P).

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch.
        gt: bool, or uint8 and true above 128; same shape.
        normalize: stretch the prediction to [0, 1] by its own minimum and maximum first; a constant one stays.

    Returns:
        In [0, 1], or NaN where the truth's centroid is in the last row or column, so that a quadrant is empty: a
        float, or float64 (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Numerics: a constant quadrant has a variance of exactly 0, where the official code may keep rounding noise.
    Source: Fan et al., ICCV 2017; definition of PySODMetrics.
    """
    return for_each_image(s_measure_of, pred, gt, normalize)


def s_measure_of(pair: Pair, alpha: float = 0.5) -> Score:
    """Structure measure of a pair; `alpha` is the weight of the object part."""
    if pair.foreground in (0, pair.size):
        mean = float(pair.spread.pooled().mean)
        return mean if pair.foreground else 1 - mean
    score = alpha * _object_similarity(pair.spread.pooled(0)) + (1 - alpha) * _region_similarity(pair.spread)
    return float(np.maximum(0, score))  # unlike max(), it keeps NaN


def _object_similarity(by_truth: Spread) -> float:
    """Of values by truth, arrays (2,): how near the background is to 0 and the foreground to 1, and how uniform."""
    mean = np.abs([1, 0] - by_truth.mean)
    spread = np.sqrt(by_truth.squares / np.maximum(by_truth.count - 1, 1))
    uniformity = 2 * mean / (mean**2 + 1 + spread + EPSILON)
    return float(by_truth.count @ uniformity / by_truth.count.sum())


def _region_similarity(by_quadrant: Spread) -> float:
    """Of values by quadrant and truth, arrays (4, 2): structural similarities, weighted by area."""
    area = by_quadrant.count.sum(1)
    if not area.all():
        return math.nan
    return float(area @ _structural_similarity(by_quadrant) / area.sum())


def _structural_similarity(by_truth: Spread) -> NDArray[np.float64]:
    """Of values by image and truth, arrays (N, 2): structural similarity of each image with its truth, (N,)."""
    both = by_truth.pooled(1)
    false, true = by_truth.count.T
    freedom = np.maximum(both.count - 1, 1)
    x, y = both.mean, true / both.count
    # The truth is 0 or 1, so that its own and the common sum of deviations follow from the counts and means.
    products = false * true / both.count
    variances = (both.squares + products) / freedom
    covariance = products * (by_truth.mean[:, 1] - by_truth.mean[:, 0]) / freedom
    numerator = 4 * x * y * covariance
    denominator = (x**2 + y**2) * variances
    return np.asarray(np.where(numerator != 0, numerator / (denominator + EPSILON), denominator == 0))
