"""Boundary IoU: how well the boundary regions of a prediction and its truth agree."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dislayers import erode, joint_histogram
from dismetrics.pairs import Images, Pair, Score, for_each_image

RATIO = 0.02


class BoundaryIoUCurve(NamedTuple):
    """Boundary IoU of an image, or of each image of a batch, over the thresholds of its prediction.

    Attributes:
        maximum: the greatest value of the curve.
        mean: the mean of the curve.
        curve: the values at the 256 thresholds, which fall from 255 to 0 (value >= threshold); float64 (256,).
    """

    maximum: Score
    mean: Score
    curve: NDArray[np.float64]


def boundary_iou(pred: Images, gt: Images, ratio: float = RATIO, distance: int | None = None) -> Score:
    """Intersection over union of the boundary regions of two masks; higher is better.

    IoU = |B(P) and B(G)| / |B(P) or B(G)|, where B(M) is a mask without its erosion by `distance` pixels: the pixels of
    M that are at most that far from one outside M, by the greater of the distances along rows and columns. What lies
    outside the image is outside M.

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch. A pixel counts above 128 of 255; the
            prediction is not stretched.
        gt: bool, or uint8 and true above 128; same shape.
        ratio: the distance as a part of the image's diagonal, rounded to a whole number of pixels, at least 1.
        distance: the distance in pixels, in place of `ratio`, >= 1. The "mBA" of ThreshNet is this measure with 15.

    Returns:
        In [0, 1], NaN if both masks are empty: a float, or float64 (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.
        ValueError: a negative or infinite `ratio`, or a `distance` below 1.

    Numerics: whole numbers of pixels, divided once.
    Source: Cheng et al., CVPR 2021 (Boundary IoU), and its code. BiRefNet's tables print the maximum and mean of
        `boundary_iou_curve` instead.
    """
    _check(ratio, distance)
    return for_each_image(lambda pair: boundary_iou_of(pair, ratio, distance), pred, gt)


def boundary_iou_curve(pred: Images, gt: Images, ratio: float = RATIO, distance: int | None = None) -> BoundaryIoUCurve:
    """Boundary IoU of a grey boundary of the prediction at 256 thresholds; higher is better.

    The boundary of a prediction is what its grey erosion takes away, pixel by pixel: P - min of P over a square of
    2 distance + 1 pixels, so a value is high where the prediction falls from high to low. It is cut at 256 thresholds;
    without a boundary in the truth all are 0. Of a prediction of 0 and 1, all values but the last are `boundary_iou`.

    Papers print the maximum and the mean, as "max BIoU" and "mean BIoU" (BiRefNet): of the curve averaged over all
    images of a set, so use `Evaluator`; the average of the images' own maxima is larger.

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch. It is stretched to [0, 1] by its
            own minimum and maximum first.
        gt: bool, or uint8 and true above 128; same shape.
        ratio: as for `boundary_iou`.
        distance: as for `boundary_iou`.

    Returns:
        Floats and a curve of float64 (256,); for a batch (B,) and (B, 256).

    Raises:
        TypeError, ValueError: as `boundary_iou`.

    Source: the evaluation code of BiRefNet (Zheng et al., CAAI AIR 2024).
    """
    _check(ratio, distance)
    return for_each_image(lambda pair: boundary_iou_curve_of(pair, ratio, distance), pred, gt)


def boundary_iou_of(pair: Pair, ratio: float = RATIO, distance: int | None = None) -> float:
    """Boundary IoU of a pair."""
    distance = _pixels(pair, ratio, distance)
    found, truth = _boundary(pair.mask, distance), _boundary(pair.truth, distance)
    both, either = np.count_nonzero(found & truth), np.count_nonzero(found | truth)
    return both / either if either else math.nan


def boundary_iou_curve_of(pair: Pair, ratio: float = RATIO, distance: int | None = None) -> BoundaryIoUCurve:
    """Boundary IoU of a pair at 256 thresholds."""
    distance = _pixels(pair, ratio, distance)
    steps = pair.steps
    found, truth = steps - _lowest(steps, distance), _boundary(pair.truth, distance)
    counts = joint_histogram(torch.from_numpy(found), torch.from_numpy(truth)).numpy()
    false_positives, true_positives = np.cumsum(counts[:, ::-1], axis=1)
    curve = true_positives / np.maximum(counts[1].sum() + false_positives, 1)
    return BoundaryIoUCurve(float(curve.max()), float(curve.mean()), curve)


def _check(ratio: float, distance: int | None) -> None:
    if not 0 <= ratio < math.inf:
        raise ValueError(f"ratio: expected a number >= 0, got {ratio}")
    if distance is not None and distance < 1:
        raise ValueError(f"distance: expected an integer >= 1, got {distance}")


def _pixels(pair: Pair, ratio: float, distance: int | None) -> int:
    height, width = pair.truth.shape
    if distance is None:
        distance = max(round(ratio * math.hypot(height, width)), 1)
    farthest: int = max(height, width)
    return min(distance, farthest)


def _boundary(mask: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    """The pixels of a mask at most `distance` from its outside, of which the image's outside is a part."""
    boundary = mask.copy()
    inner = (slice(distance, -distance),) * 2
    boundary[inner] ^= erode(torch.from_numpy(boundary), distance, "square").numpy()[inner]
    return boundary


def _lowest(values: NDArray[np.uint8], distance: int) -> NDArray[np.uint8]:
    """The least value within `distance` of each pixel along rows and columns; outside the image all are 0."""
    for _ in range(2):
        least = np.pad(values, ((distance, distance), (0, 0)))
        width, wanted = 1, 2 * distance + 1
        while width < wanted:  # the least of 1, 2, 4, ... pixels below each other
            step = min(width, wanted - width)
            least = np.minimum(least[:-step], least[step:])
            width += step
        values = least.T
    return values
