"""Structure measure (S_alpha)."""

import math

import numpy as np
from numpy.typing import NDArray

from dismetrics.pairs import EPSILON, Images, Pair, Score, for_each_image


def s_measure(pred: Images, gt: Images) -> Score:
    """Structural similarity of the normalised prediction and the truth; higher is better.

    S = max(0, (S_object + S_region) / 2): the object part compares the prediction's mean and spread in foreground and
    background, the region part a structural similarity in the four quadrants around the truth's centroid. For
    an empty truth S = 1 - mean(P), for a full one mean(P).

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch. It is stretched to [0, 1] by its
            own minimum and maximum first.
        gt: bool, or uint8 and true above 128; same shape.

    Returns:
        In [0, 1], or NaN where the truth's centroid is in the last row or column, so that a quadrant is empty: a
        float, or float64 (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Numerics: a constant quadrant has a variance of exactly 0, where the official code may keep rounding noise.
    Source: Fan et al., ICCV 2017; definition of PySODMetrics.
    """
    return for_each_image(s_measure_of, pred, gt)


def s_measure_of(pair: Pair) -> Score:
    """Structure measure of a pair."""
    pred, gt = pair.normalized, pair.truth
    if pair.foreground == 0:
        return float(1 - pred.mean())
    if pair.foreground == pair.size:
        return float(pred.mean())
    score = (_object_similarity(pred, gt) + _region_similarity(pred, gt)) / 2
    return float(np.maximum(0, score))  # unlike max(), it keeps NaN


def _object_similarity(pred: NDArray[np.float64], gt: NDArray[np.bool_]) -> float:
    share = gt.mean()
    return float(share * _uniformity(pred[gt]) + (1 - share) * _uniformity(1 - pred[~gt]))


def _uniformity(values: NDArray[np.float64]) -> float:
    mean = values.mean()
    spread = values.std(ddof=1) if values.size > 1 else 0.0
    return float(2 * mean / (mean**2 + 1 + spread + EPSILON))


def _region_similarity(pred: NDArray[np.float64], gt: NDArray[np.bool_]) -> float:
    row, column = _centroid(gt)
    return sum(
        _structural_similarity(pred[rows, columns], gt[rows, columns].astype(np.float64))
        * gt[rows, columns].size
        / gt.size
        for rows in (slice(row), slice(row, None))
        for columns in (slice(column), slice(column, None))
    )


def _centroid(gt: NDArray[np.bool_]) -> tuple[int, int]:
    """First row and column after the centroid, which is rounded half to even."""
    by_row, by_column = np.count_nonzero(gt, axis=1), np.count_nonzero(gt, axis=0)
    centre_row, centre_column = (np.arange(n.size) @ n / n.sum() for n in (by_row, by_column))
    return round(float(centre_row)) + 1, round(float(centre_column)) + 1


def _structural_similarity(pred: NDArray[np.float64], gt: NDArray[np.float64]) -> float:
    if not pred.size:
        return math.nan
    freedom = max(pred.size - 1, 1)
    x, y = pred.mean(), gt.mean()
    from_x, from_y = _deviations(pred), _deviations(gt)
    variances = (np.vdot(from_x, from_x) + np.vdot(from_y, from_y)) / freedom
    covariance = np.vdot(from_x, from_y) / freedom
    numerator = 4 * x * y * covariance
    denominator = (x**2 + y**2) * variances
    if numerator != 0:
        return float(numerator / (denominator + EPSILON))
    return 1.0 if denominator == 0 else 0.0


def _deviations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # Shifted by one of the values, those of a constant array are exactly 0.
    shifted = values - values[0, 0]
    return np.asarray(shifted - shifted.mean())
