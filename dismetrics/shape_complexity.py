"""Complexity of a mask's shape: IPQ, number of contours, number of dominant points."""

import math
from typing import Any, NamedTuple

import cv2
import numpy as np

from dismetrics.pairs import Count, Images, Pair, Score, for_each_image
from dismetrics.polygon import Distance, approximate_polygon, check_tolerance


class ShapeComplexity(NamedTuple):
    """The three complexity measures of DIS5K, of a mask or of each mask of a batch."""

    ipq: Score
    contours: Count
    dominant_points: Count


def shape_complexity(mask: Images, epsilon: float = 2.0, distance: Distance = "line") -> ShapeComplexity:
    """Complexity of a mask, as DIS5K describes its ground truths; DIS-TE1 to TE4 are ordered by IPQ x dominant points.

    IPQ = L^2 / (4 pi A), the isoperimetric inequality quotient: A is the number of pixels, L the length of all
    contours, outer and of holes.

    Args:
        mask: bool, or uint8 and true above 128; (H, W) or (B, H, W), NumPy or torch.
        epsilon: tolerance of the dominant points in pixels, >= 0. The paper does not print its own; the default is
            that of its HCE, which is built on them.
        distance: see `approximate_polygon`.

    Returns:
        ipq (NaN for an empty mask), contours (C_num), dominant_points (P_num); arrays (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.
        ValueError: a negative `epsilon`, or another `distance`.

    Numerics: exact but for the lengths, which OpenCV sums in float32 steps.
    Source: Qin et al., ECCV 2022 (DIS5K), section 3.2. There is no official code: contours are those of OpenCV's
    findContours, as in the official HCE, dominant points those of `approximate_polygon` on closed curves.
    """
    check_tolerance(epsilon, distance)
    return for_each_image(lambda pair: _complexity(pair, epsilon, distance), mask, mask)


def _complexity(pair: Pair, epsilon: float, distance: Distance) -> ShapeComplexity:
    contours: Any
    contours, _ = cv2.findContours(pair.truth.view(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    length = sum(cv2.arcLength(contour, True) for contour in contours)
    ipq = length**2 / (4 * math.pi * pair.foreground) if pair.foreground else math.nan
    corners = sum(len(approximate_polygon(contour[:, 0], epsilon, True, distance)) for contour in contours)
    return ShapeComplexity(ipq, len(contours), corners)
