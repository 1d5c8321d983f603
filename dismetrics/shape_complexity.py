"""Complexity of a mask's shape: IPQ, number of contours, number of dominant points."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dislayers import approximate_polygons, contours
from dislayers.contours import Distance, check_tolerance
from dismetrics.pairs import Count, Images, Pair, Score, for_each_image

_DIAGONAL = float(np.sqrt(np.float32(2)))


class ShapeComplexity(NamedTuple):
    """The three complexity measures of DIS5K, of a mask or of each mask of a batch, and what IPQ is made of."""

    ipq: Score
    contours: Count
    dominant_points: Count
    area: Count
    perimeter: Score

    @property
    def product(self) -> Score:
        """IPQ x dominant points, by which DIS5K orders its test images; 0 for an empty mask."""
        return np.nan_to_num(self.ipq * self.dominant_points)


def shape_complexity(mask: Images, epsilon: float = 2.0, distance: Distance = "line") -> ShapeComplexity:
    """Complexity of a mask, as DIS5K describes its ground truths; DIS-TE1 to TE4 are ordered by IPQ x dominant points.

    IPQ = L^2 / (4 pi A), the isoperimetric inequality quotient: the area A is the number of pixels, the perimeter L the
    length of all contours, outer and of holes.

    Args:
        mask: bool, or uint8 and true above 128; (H, W) or (B, H, W), NumPy or torch.
        epsilon: tolerance of the dominant points in pixels, >= 0. The paper does not print its own; the default is
            that of its HCE, which is built on them.
        distance: see `dislayers.approximate_polygons`.

    Returns:
        ipq (NaN for an empty mask), contours (C_num), dominant_points (P_num), area in pixels, perimeter in pixels;
        arrays (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.
        ValueError: a negative `epsilon`, or another `distance`.

    Numerics: exact; the length of a diagonal step is the float32 next to the square root of 2, as OpenCV sums it.
    Source: Qin et al., ECCV 2022 (DIS5K), section 3.2. There is no official code: contours are those of OpenCV's
    findContours, as in the official HCE, dominant points those of `dislayers.approximate_polygons` on closed curves.
    """
    check_tolerance(epsilon, distance)
    return for_each_image(lambda pair: _complexity(pair, epsilon, distance), mask, mask)


def split_by_complexity(
    complexities: ShapeComplexity | Sequence[ShapeComplexity], subsets: int = 4
) -> list[NDArray[np.int64]]:
    """Split masks into subsets of ascending IPQ x dominant points, as DIS5K's test images into DIS-TE1 to DIS-TE4.

    Args:
        complexities: of a batch, or of single masks and batches one after the other.
        subsets: their number, 1 to that of the masks.

    Returns:
        For each subset the indices of its masks, from the simplest to the most complex; masks of one product keep their
        order, and empty ones come first. The subsets have one size; if the masks do not come out even, the first
        subsets have one mask more.

    Raises:
        ValueError: `subsets` is less than 1 or more than the masks.

    Source: Qin et al., ECCV 2022 (DIS5K), section 3.3: 2000 images ordered by IPQ x P_num, 500 in each subset.
    """
    several = [complexities] if isinstance(complexities, ShapeComplexity) else complexities
    products = np.hstack([[], *(one.product for one in several)])
    if not 1 <= subsets <= len(products):
        raise ValueError(f"subsets: expected 1 to {len(products)}, the number of masks, got {subsets}")
    return np.array_split(np.argsort(products, kind="stable"), subsets)


def _complexity(pair: Pair, epsilon: float, distance: Distance) -> ShapeComplexity:
    found = contours(torch.from_numpy(pair.truth))
    length = _length(found.points.numpy(), found.lengths.numpy())
    corners = approximate_polygons(found.points, found.lengths, epsilon, True, distance).points
    ipq = length**2 / (4 * math.pi * pair.foreground) if pair.foreground else math.nan
    return ShapeComplexity(ipq, len(found.lengths), len(corners), pair.foreground, length)


def _length(points: NDArray[np.int32], lengths: NDArray[np.int64]) -> float:
    """Length of all contours; a step moves to a neighbour, over an edge or a corner."""
    following = np.arange(1, len(points) + 1)
    ends = np.cumsum(lengths)
    following[ends - 1] = ends - lengths
    moved = np.abs(points[following] - points).sum(axis=1)
    _, straight, diagonal = np.bincount(moved, minlength=3).tolist()
    return float(straight + diagonal * _DIAGONAL)
