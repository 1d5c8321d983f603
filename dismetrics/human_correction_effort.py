"""Human correction effort (HCE)."""

from collections.abc import Iterator
from operator import index
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from dislayers import dilate, erode, skeletonize
from dismetrics.pairs import Count, Images, Pair, for_each_image
from dismetrics.polygon import Distance, approximate_polygon, check_tolerance

Mask = NDArray[np.bool_]


class HumanCorrectionEffort(NamedTuple):
    """Clicks that correct a prediction: polygon points and one-click regions, for false positives and negatives."""

    fp_points: Count
    fp_regions: Count
    fn_points: Count
    fn_regions: Count
    total: Count


def human_correction_effort(
    pred: Images, gt: Images, relax: int = 5, epsilon: float = 2.0, distance: Distance = "line"
) -> HumanCorrectionEffort:
    """Approximate number of mouse clicks that would correct a predicted mask; lower is better.

    Wrong regions thinner than about 2 `relax` pixels are forgiven, unless the skeleton of the truth runs through
    them. Where a wrong region borders on what it has to be separated from, its boundary is clicked at the corners
    of a polygon; a region that borders on no such thing takes one click.

    Papers print the total, averaged over the images of a set (DIS5K, IS-Net: HCE with relax 5).

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch. A pixel counts above 128 of 255; the
            prediction is not stretched.
        gt: bool, or uint8 and true above 128; same shape.
        relax: tolerance in pixels, >= 0.
        epsilon: tolerance of the polygons in pixels, >= 0.
        distance: how the polygons measure it, see `approximate_polygon`. The published tables are "line"; the
            official script gives "segment" when run with OpenCV >= 4.13.

    Returns:
        Integers; int64 (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.
        ValueError: a negative `relax` or `epsilon`, or another `distance`.

    Numerics: integer arithmetic but for the polygons' tolerance; equal to the official script, with any OpenCV >= 4.8.
    Source: Qin et al., ECCV 2022 (DIS5K), section 5, algorithm 1, and its script, which the paper simplifies.
    """
    if relax < 0:
        raise ValueError(f"relax: expected an integer >= 0, got {relax}")
    check_tolerance(epsilon, distance)
    return for_each_image(lambda pair: human_correction_effort_of(pair, relax, epsilon, distance), pred, gt)


def human_correction_effort_of(
    pair: Pair, relax: int = 5, epsilon: float = 2.0, distance: Distance = "line"
) -> HumanCorrectionEffort:
    """Human correction effort of a pair."""
    pred, gt, relax = pair.mask, pair.truth, index(relax)
    core = erode(_tensor(pred | gt), relax).numpy()
    false_positive, false_negative = pred & ~gt, gt & ~pred
    fp = dilate(_tensor(false_positive & core), relax, _tensor(false_positive)).numpy()
    fn = dilate(_tensor(false_negative & core), relax, _tensor(false_negative)).numpy()
    fn |= skeletonize(_tensor(gt)).numpy() & ~pred
    known = (pred & gt) | fn
    fp_points, fp_regions = _clicks(fp, known, epsilon, distance)
    fn_points, fn_regions = _clicks(fn, ~(known | fp), epsilon, distance)
    return HumanCorrectionEffort(
        fp_points, fp_regions, fn_points, fn_regions, fp_points + fp_regions + fn_points + fn_regions
    )


def _tensor(mask: Mask) -> torch.Tensor:
    # A copy: PyTorch takes neither read-only arrays nor negative strides.
    return torch.from_numpy(mask.copy())


def _clicks(wrong: Mask, border: Mask, epsilon: float, distance: Distance) -> tuple[int, int]:
    """Clicks on wrong regions: polygon points where they touch `border`, and regions that do not touch it."""
    contours, _ = cv2.findContours(wrong.view(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    # A region that fills the image has no outside to be separated from, nor a label in the official script.
    if not contours or wrong.all():
        return 0, 0
    columns, rows = np.concatenate(contours)[:, 0].T
    clicked = dilate(_tensor(border)).numpy()[rows, columns] & _first_visits(rows * np.int64(wrong.shape[1]) + columns)
    count, labels = cv2.connectedComponents(wrong.view(np.uint8), connectivity=8)
    touched = np.unique(labels[rows[clicked], columns[clicked]]).size
    points = sum(len(approximate_polygon(line, epsilon, False, distance)) for line in _polylines(contours, clicked))
    return points, count - 1 - touched


def _first_visits(pixels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Mark where each pixel of a sequence comes first: what one contour has clicked, no other clicks again."""
    first = np.zeros(len(pixels), np.bool_)
    first[np.unique(pixels, return_index=True)[1]] = True
    return first


def _polylines(contours: Any, clicked: NDArray[np.bool_]) -> Iterator[NDArray[np.integer]]:
    """Cut contours into their clicked runs; runs that meet where a contour starts and ends are joined."""
    lengths = [len(contour) for contour in contours]
    for contour, marks in zip(contours, np.split(clicked, np.cumsum(lengths[:-1])), strict=True):
        ends = np.flatnonzero(np.diff(marks, prepend=False, append=False))
        runs = [contour[start:end, 0] for start, end in zip(ends[::2], ends[1::2], strict=True)]
        if len(runs) > 1 and np.abs(runs[0][0] - runs[-1][-1]).max() == 1:
            # The official script appends the first run turned round; its counts need that.
            runs = [*runs[1:-1], np.concatenate([runs[-1], runs[0][::-1]])]
        yield from runs
