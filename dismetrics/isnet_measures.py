"""F-measure and mean absolute error as IS-Net's training code computes them, which differ from the published tables'.

Neither stretches the prediction. To have the code's own numbers, stretch it beforehand: the code validates stretched
maps.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dismetrics.f_measure import BETA_SQUARED
from dismetrics.pairs import Images, Pair, Score, for_each_image, pairs

_EPSILON = np.float32(1e-4)


class IsnetFMeasure(NamedTuple):
    """F-measure of an image, or of each image of a batch, with the precision and recall that make up a set's.

    Attributes:
        maximum: the greatest value of the curve.
        mean: the mean of the curve.
        curve: the values at the 255 thresholds, which fall from 254 to 0; float32 (255,).
        precision: at the same thresholds.
        recall: at the same thresholds.
    """

    maximum: Score
    mean: Score
    curve: NDArray[np.floating]
    precision: NDArray[np.floating]
    recall: NDArray[np.floating]


def isnet_f_measure(pred: Images, gt: Images) -> IsnetFMeasure:
    """F-measure in 255 bins, grey values 254 and 255 in one; higher is better.

    Precision = TP / (TP + FP + 1e-4), recall = TP / (T + 1e-4), F = 1.3 precision recall / (0.3 precision + recall +
    1e-4), in float32.

    Of a set the code prints `isnet_f_measure_of_set`, and keeps the weights with the greatest maximum.

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch.
        gt: bool, or uint8 and true above 128; same shape.

    Returns:
        Floats and arrays (255,); for a batch (B,) and (B, 255).

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Source: validation of IS-Net (Qin et al., ECCV 2022).
    """
    return for_each_image(_isnet_f_measure_of, pred, gt)


def isnet_f_measure_of_set(precision: NDArray[np.floating], recall: NDArray[np.floating]) -> NDArray[np.float64]:
    """F-measure of precision and recall averaged over the images of a set, at the 255 thresholds.

    F = 1.3 precision recall / (0.3 precision + recall + 1e-8), of the means, in float64.

    Args:
        precision: of each image, (N, 255).
        recall: of each image, (N, 255).

    Returns:
        float64 (255,).
    """
    p, r = (np.mean(values, axis=0, dtype=np.float64) for values in (precision, recall))
    return np.asarray((1 + BETA_SQUARED) * p * r / (BETA_SQUARED * p + r + 1e-8))


def isnet_mean_absolute_error(pred: Images, gt: Images) -> Score:
    """Mean absolute difference of the prediction and the truth as they are, grey truths too; lower is better.

    MAE = sum |P - G| / (255 H W + 1e-4), of grey values.

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch.
        gt: bool, or uint8 in [0, 255]; same shape.

    Returns:
        In [0, 1]: a float, or float64 (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Numerics: summed in float64, the code in float32.
    Source: validation of IS-Net (Qin et al., ECCV 2022).
    """
    truths = iter(pairs(gt, gt))  # a grey truth is read as a prediction is
    return for_each_image(lambda pair: _absolute_error(pair, next(truths)), pred, gt)


def _isnet_f_measure_of(pair: Pair) -> IsnetFMeasure:
    bins = np.minimum(_grey(pair), 254).astype(np.uint8)
    true, false = (
        np.cumsum(np.bincount(bins[where], minlength=255)[::-1]).astype(np.float32)
        for where in (pair.truth, ~pair.truth)
    )
    precision = true / (true + false + _EPSILON)
    recall = true / (np.float32(pair.foreground) + _EPSILON)
    weighted = np.float32(BETA_SQUARED) * precision + recall + _EPSILON
    curve = np.float32(1 + BETA_SQUARED) * precision * recall / weighted
    return IsnetFMeasure(float(curve.max()), float(curve.mean()), curve, precision, recall)


def _absolute_error(pair: Pair, truth: Pair) -> float:
    difference = np.abs(np.subtract(_grey(pair), _grey(truth), dtype=np.float64))
    return float(difference.sum() / (255 * pair.size + float(_EPSILON)))


def _grey(pair: Pair) -> NDArray[np.generic]:
    """The prediction in grey values from 0 to 255, not rounded."""
    return pair.prediction if pair.prediction.dtype == np.uint8 else pair.prediction * 255
