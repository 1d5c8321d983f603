"""Boundary IoU and mean boundary accuracy with OpenCV, as BiRefNet's evaluation computes both.

Source: Cheng et al., CVPR 2021 (Boundary IoU); Cheng et al., CVPR 2020 (CascadePSP: mean boundary accuracy).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

SQUARE = np.ones((3, 3), np.uint8)
RATIO, RADII = 0.02, 5


def boundary_iou(pred: Grey, gt: Grey) -> tuple[float, float]:
    """Maximum and mean over the 256 thresholds of the IoU of grey boundaries, 0.02 of the diagonal wide."""
    found = _inner_boundary((_stretched(pred) * 255).astype(np.uint8))
    truth = _inner_boundary(np.where(gt > 128, np.uint8(255), np.uint8(0))) > 128
    true, false = (
        np.cumsum(np.histogram(values, bins=np.arange(257))[0][::-1]) for values in (found[truth], found[~truth])
    )
    curve = true / np.maximum(np.count_nonzero(truth) + false, 1)
    return float(curve.max()), float(curve.mean())


def mean_boundary_accuracy(pred: Grey, gt: Grey) -> float:
    """Accuracy next to the boundary of the truth, averaged over five widths; NaN without a boundary."""
    found, truth = pred > 128, gt > 128
    widest = sum(gt.shape) / 300
    accuracies = []
    for i in range(RADII):
        radius = 1 + int((widest - 1) / RADII * i)
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        near = cv2.morphologyEx(truth.astype(np.uint8), cv2.MORPH_GRADIENT, disk) > 0
        count = np.count_nonzero(near)
        accuracies.append(np.count_nonzero(found[near] == truth[near]) / count if count else np.nan)
    return float(np.mean(accuracies))


def _stretched(pred: Grey) -> NDArray[np.float64]:
    values = pred / 255
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else values


def _inner_boundary(values: Grey) -> Grey:
    rounds = max(round(RATIO * float(np.hypot(*values.shape))), 1)
    framed = cv2.copyMakeBorder(values, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return values - cv2.erode(framed, SQUARE, iterations=rounds)[1:-1, 1:-1]
