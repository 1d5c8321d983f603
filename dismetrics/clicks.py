"""Where the clicks of the human correction effort would go, for pictures: plain code, one image at a time."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dislayers import (
    approximate_polygon,
    connected_components,
    contours,
    distance_transform,
    morphology,
    skeletonize,
)
from dislayers.contours import Distance
from dismetrics.human_correction_effort.op import check_options
from dismetrics.human_correction_effort.reference import clicked_points, polylines, wrong_regions
from dismetrics.pairs import Images, pairs

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
    check_options(relax, epsilon, distance)
    if pred.ndim != 2:
        raise ValueError(f"pred: expected one image (H, W), got {tuple(pred.shape)}")
    (pair,) = pairs(pred, gt)
    prediction, truth = torch.from_numpy(pair.mask), torch.from_numpy(pair.truth)
    false_positive, false_negative = wrong_regions(prediction, truth, skeletonize(truth), relax, morphology)
    return CorrectionClicks(*_clicks(*false_positive, epsilon, distance), *_clicks(*false_negative, epsilon, distance))


def _clicks(wrong: Tensor, border: Tensor, epsilon: float, distance: Distance) -> tuple[Points, Points]:
    """Clicks on wrong regions: corners of polygons where they touch `border`, and on regions that do not touch it."""
    none = np.empty((0, 2), np.int64)
    points, lengths, *_ = (part.numpy() for part in contours(wrong))
    # A region that fills the image has no outside to be separated from.
    if not len(lengths) or bool(wrong.all()):
        return none, none
    clicked = clicked_points(points, border, morphology)
    corners = [
        approximate_polygon(torch.from_numpy(line), epsilon, False, distance).numpy()[:, ::-1]
        for line in polylines(points, lengths, clicked)
    ]
    labels, count = (part.numpy() for part in connected_components(wrong))
    alone = np.ones(int(count) + 1, np.bool_)
    columns, rows = points[clicked].T
    alone[labels[rows, columns]] = False
    alone[0] = False
    return np.concatenate([none, *corners]), _innermost(wrong.numpy(), np.where(alone[labels], labels, 0))


def _innermost(wrong: NDArray[np.bool_], labels: NDArray[np.int32]) -> Points:
    """The pixel of each label furthest from the edge of the mask, in the order of the labels."""
    depths = distance_transform(torch.from_numpy(np.pad(wrong, 1))).numpy()[1:-1, 1:-1]
    pixels = np.flatnonzero(labels)
    pixels = pixels[np.lexsort((-depths.flat[pixels], labels.flat[pixels]))]
    _, deepest = np.unique(labels.flat[pixels], return_index=True)
    return np.stack(np.unravel_index(pixels[deepest], labels.shape), axis=1)
