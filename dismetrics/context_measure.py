"""Context measure (C): how well a prediction fits its surroundings in the truth, and the truth its own in it."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from dismetrics.pairs import EPSILON, Images, Pair, Score, for_each_image

# Foreground on a line has a singular covariance, with which the official code fails or divides by rounding noise.
_GREATEST_CORRELATION = 1 - 1e-12


def context_measure(pred: Images, gt: Images, beta_squared: float = 1.0, alpha: float = 6.0) -> Score:
    """Harmonic mean of forward inference and reverse deduction in a gaussian neighbourhood; higher is better.

    With K a gaussian of the shape of the truth's foreground: forward = sum P (K * G) / sum P, reverse = e / (e - 1)
    sum G (1 - exp(-K * P)) / sum G, C = (1 + beta^2) forward reverse / (beta^2 forward + reverse).

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch. It is stretched to [0, 1] by its
            own minimum and maximum first.
        gt: bool, or uint8 and true above 128; same shape.
        beta_squared: weight of forward inference.
        alpha: spread of the gaussian in pixels: the root of the sum of its two variances.

    Returns:
        In [0, 1]: a float, or float64 (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Numerics: in float64, where the official code filters the truth in float32: within 1e-6 of it.
    Source: Wang et al., arXiv 2512.07076; definition of PySODMetrics (ContextMeasure).
    """
    return for_each_image(lambda pair: context_measure_of(pair, beta_squared, alpha), pred, gt)


def context_measure_of(pair: Pair, beta_squared: float = 1.0, alpha: float = 6.0) -> Score:
    """Context measure of a pair."""
    pred, gt = pair.normalized, pair.truth
    kernel = _kernel(gt, alpha)
    forward = np.vdot(pred, _filtered(gt.astype(np.float64), kernel)) / (pred.sum() + EPSILON)
    reverse = -np.expm1(-_filtered(pred, kernel)[gt]).sum() / (1 - math.exp(-1)) / (pair.foreground + EPSILON)
    return float((1 + beta_squared) * forward * reverse / (beta_squared * forward + reverse + EPSILON))


def _kernel(gt: NDArray[np.bool_], alpha: float) -> NDArray[np.float64]:
    """Gaussian with the moments of the foreground, scaled so that its variances add up to alpha^2."""
    by_row, by_column = np.count_nonzero(gt, axis=1), np.count_nonzero(gt, axis=0)
    count = by_row.sum()
    if count < 2:
        return _gaussian(np.array([0.5, 0.5]), 0.0, (1, 1))
    rows, columns = (np.arange(n.size) - np.arange(n.size) @ n / count for n in (by_row, by_column))
    variances = np.array([rows**2 @ by_row, columns**2 @ by_column]) / (count - 1)
    variances[variances == 0] = EPSILON
    correlation = rows @ (gt @ columns) / (count - 1) / np.sqrt(variances.prod())
    deviations = alpha * np.sqrt(variances / variances.sum())
    limit = _GREATEST_CORRELATION
    return _gaussian(deviations, min(max(correlation, -limit), limit), tuple(round(3 * sigma) for sigma in deviations))


def _gaussian(deviations: NDArray[np.float64], correlation: float, reach: tuple[int, ...]) -> NDArray[np.float64]:
    y, x = (np.arange(-most, most + 1) / sigma for most, sigma in zip(reach, deviations, strict=True))
    y = y[:, None]
    weights = np.exp(-(y**2 - 2 * correlation * y * x + x**2) / (2 * (1 - correlation**2)))
    return np.asarray(weights / weights.sum())


def _filtered(image: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The image filtered, mirrored at its borders without repeating them."""
    filtered = cv2.filter2D(image, cv2.CV_64F, kernel, borderType=cv2.BORDER_REFLECT_101)
    # A Fourier transform, by which OpenCV applies large kernels, leaves some zeros below zero.
    return np.asarray(np.maximum(filtered, 0))
