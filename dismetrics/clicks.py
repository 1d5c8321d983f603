"""Where the clicks of the human correction effort would go, for pictures: plain code, one image at a time."""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from dislayers import dilate, erode, skeletonize
from dismetrics.pairs import Images, pairs
from dismetrics.polygon import Distance, approximate_polygon, check_tolerance

Mask = NDArray[np.bool_]
Points = NDArray[np.int64]


class CorrectionClicks(NamedTuple):
    """Rows and columns of the clicks, int64 (N, 2), by the parts of the human correction effort."""

    fp_points: Points
    fp_regions: Points
    fn_points: Points
    fn_regions: Points


def correction_clicks(
    pred: Images, gt: Images, relax: int = 5, epsilon: float = 2.0, distance: Distance = "line"
) -> CorrectionClicks:
    """Positions of the clicks that `human_correction_effort` counts; its arguments, but for one image.

    Returns:
        Corners of the polygons that separate wrong regions from what they border on, and for each region that is
        taken with one click its pixel furthest from the region's edge. As many of each as the metric counts.

    Raises:
        TypeError, ValueError: as `human_correction_effort`.
        ValueError: a batch.
    """
    if relax < 0:
        raise ValueError(f"relax: expected an integer >= 0, got {relax}")
    check_tolerance(epsilon, distance)
    if pred.ndim != 2:
        raise ValueError(f"pred: expected one image (H, W), got {tuple(pred.shape)}")
    (pair,) = pairs(pred, gt)
    prediction, truth = pair.mask, pair.truth
    core = _morph(erode, prediction | truth, relax)
    false_positive, false_negative = prediction & ~truth, truth & ~prediction
    fp = _morph(dilate, false_positive & core, relax, false_positive)
    fn = _morph(dilate, false_negative & core, relax, false_negative)
    fn |= skeletonize(torch.from_numpy(truth.copy())).numpy() & ~prediction
    known = (prediction & truth) | fn
    return CorrectionClicks(*_clicks(fp, known, epsilon, distance), *_clicks(fn, ~(known | fp), epsilon, distance))


def _clicks(wrong: Mask, border: Mask, epsilon: float, distance: Distance) -> tuple[Points, Points]:
    """Clicks on wrong regions: corners of polygons where they touch `border`, and on regions that do not touch it."""
    none = np.empty((0, 2), np.int64)
    contours, _ = cv2.findContours(wrong.view(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    # A region that fills the image has no outside to be separated from.
    if not contours or wrong.all():
        return none, none
    columns, rows = np.concatenate(contours)[:, 0].T
    pixels, first_visits = np.unique(rows * np.int64(wrong.shape[1]) + columns, return_index=True)
    clicked = np.zeros(rows.size, np.bool_)
    clicked[first_visits] = _morph(dilate, border, 1).flat[pixels]
    lines = np.split(clicked, np.cumsum([len(contour) for contour in contours[:-1]]))
    corners = [
        approximate_polygon(run, epsilon, False, distance)[:, ::-1]
        for contour, marks in zip(contours, lines, strict=True)
        for run in _runs(contour[:, 0].astype(np.int64), marks)
    ]
    count, labels = cv2.connectedComponents(wrong.view(np.uint8), connectivity=8)
    alone = np.ones(count, np.bool_)
    alone[labels[rows[clicked], columns[clicked]]] = False
    alone[0] = False
    return np.concatenate([none, *corners]), _innermost(wrong, np.where(alone[labels], labels, 0))


def _runs(contour: Points, marks: Mask) -> list[Points]:
    """Marked runs of a contour; the first and the last are one where the contour starts and ends within them."""
    ends = np.flatnonzero(np.diff(marks, prepend=False, append=False))
    runs = [contour[start:end] for start, end in zip(ends[::2], ends[1::2], strict=True)]
    if len(runs) > 1 and np.abs(runs[0][0] - runs[-1][-1]).max() == 1:
        # The official script appends the first run turned round.
        runs = [*runs[1:-1], np.concatenate([runs[-1], runs[0][::-1]])]
    return runs


def _innermost(wrong: Mask, labels: NDArray[np.int32]) -> Points:
    """The pixel of each label furthest from the edge of the mask, in the order of the labels."""
    depths = cv2.distanceTransform(np.pad(wrong, 1).view(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    pixels = np.flatnonzero(labels)
    pixels = pixels[np.lexsort((-depths.flat[pixels], labels.flat[pixels]))]
    _, deepest = np.unique(labels.flat[pixels], return_index=True)
    return np.stack(np.unravel_index(pixels[deepest], labels.shape), axis=1)


def _morph(operation: Callable[..., torch.Tensor], mask: Mask, iterations: int, within: Mask | None = None) -> Mask:
    bound = () if within is None else (torch.from_numpy(within),)
    return operation(torch.from_numpy(mask), iterations, *bound).numpy()
