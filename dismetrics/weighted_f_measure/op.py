"""The op ``dismetrics::weighted_f_measure``, and the functions that people call."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.library import register
from dislayers._runtime.native import for_cpu
from dismetrics.pairs import Images, Pair, Score, for_each_image
from dismetrics.weighted_f_measure import kernel, reference


def _fake(pred: Tensor, gt: Tensor, limits: Tensor, beta_squared: float) -> Tensor:
    return pred.new_empty(pred.shape[:-2], dtype=torch.float64)


_weighted_f_measure = register(
    "dismetrics::weighted_f_measure(Tensor pred, Tensor gt, Tensor limits, float beta_squared) -> Tensor",
    reference.weighted_f_measure,
    _fake,
    kernels=[for_cpu("weighted_f_measure", kernel.weighted_f_measure)],
)


def weighted_f_measure(pred: Images, gt: Images, normalize: bool = True) -> Score:
    """F-measure whose errors are weighted by where they are; higher is better.

    An error of the foreground counts less where its neighbourhood is right (gaussian 7x7, sigma 5), one of the
    background counts 2 - 0.5^(d / 5) at distance d from the foreground. F = 2 R P / (R + P); 0 for an empty truth.

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch.
        gt: bool, or uint8 and true above 128; same shape.
        normalize: stretch the prediction to [0, 1] by its own minimum and maximum first; a constant one stays.

    Returns:
        In [0, 1]: a float, or float64 (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Numerics: in float64; the gaussian is applied by rows and by columns: within 1e-12 of the official two-dimensional
        sum. Sums are taken row by row, so that the number of threads changes no bit. No float for each pixel is kept.
    Source: Margolin et al., CVPR 2014, with beta = 1; definition of PySODMetrics.
    """
    return for_each_image(weighted_f_measure_of, pred, gt, normalize)


def weighted_f_measure_of(pair: Pair, beta_squared: float = 1.0) -> Score:
    """Weighted F-measure of a pair; `beta_squared` is the weight of precision."""
    pred, gt = torch.from_numpy(pair.values), torch.from_numpy(pair.truth)
    return float(_weighted_f_measure(pred, gt, torch.tensor(pair.limits, dtype=torch.float64), beta_squared))
