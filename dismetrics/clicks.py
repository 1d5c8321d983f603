"""Where the clicks of the human correction effort would go, for pictures: plain code, one image at a time."""

import math
from collections.abc import Callable
from operator import index
from typing import NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from dislayers import (
    approximate_polygon,
    connected_components,
    contours,
    dilate,
    distance_transform,
    erode,
    skeletonize,
)
from dislayers._runtime import check
from dislayers.contours import Distance
from dismetrics.human_correction_effort.reference import first_visits, polylines
from dismetrics.pairs import Images, pairs

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
    check.count("relax", index(relax))
    check.within("epsilon", epsilon, 0, math.inf)
    check.one_of("distance", distance, get_args(Distance))
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
    points, lengths, *_ = (part.numpy() for part in contours(torch.from_numpy(wrong)))
    # A region that fills the image has no outside to be separated from.
    if not len(lengths) or wrong.all():
        return none, none
    columns, rows = points.T.astype(np.int64)
    clicked = _morph(dilate, border, 1)[rows, columns] & first_visits(rows * wrong.shape[1] + columns)
    corners = [
        approximate_polygon(torch.from_numpy(line), epsilon, False, distance).numpy()[:, ::-1]
        for line in polylines(points, lengths, clicked)
    ]
    labels, count = (part.numpy() for part in connected_components(torch.from_numpy(wrong)))
    alone = np.ones(int(count) + 1, np.bool_)
    alone[labels[rows[clicked], columns[clicked]]] = False
    alone[0] = False
    return np.concatenate([none, *corners]), _innermost(wrong, np.where(alone[labels], labels, 0))


def _innermost(wrong: Mask, labels: NDArray[np.int32]) -> Points:
    """The pixel of each label furthest from the edge of the mask, in the order of the labels."""
    depths = distance_transform(torch.from_numpy(np.pad(wrong, 1))).numpy()[1:-1, 1:-1]
    pixels = np.flatnonzero(labels)
    pixels = pixels[np.lexsort((-depths.flat[pixels], labels.flat[pixels]))]
    _, deepest = np.unique(labels.flat[pixels], return_index=True)
    return np.stack(np.unravel_index(pixels[deepest], labels.shape), axis=1)


def _morph(operation: Callable[..., torch.Tensor], mask: Mask, iterations: int, within: Mask | None = None) -> Mask:
    bound = () if within is None else (torch.from_numpy(within),)
    return operation(torch.from_numpy(mask), iterations, *bound).numpy()
