"""Human correction effort, in PyTorch and NumPy from the definitions of its steps."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dislayers.contours import reference as contours
from dislayers.morphology import reference as morphology
from dislayers.skeletonize import reference as skeletons


def human_correction_effort(
    pred: Tensor, gt: Tensor, skeleton: Tensor | None, relax: int, epsilon: float, distance: str
) -> Tensor:
    """Clicks of every image of (..., H, W), int64 (..., 4); see the function that people call."""
    bones = skeletons.skeletonize(gt) if skeleton is None else skeleton
    masks = torch.stack([pred != 0, gt != 0, bones != 0], dim=-3)
    clicks = [_of_image(image, relax, epsilon, distance) for image in masks.reshape(-1, *masks.shape[-3:])]
    return torch.tensor(clicks, dtype=torch.int64, device=pred.device).reshape(*pred.shape[:-2], 4)


def _of_image(masks: Tensor, relax: int, epsilon: float, distance: str) -> tuple[int, int, int, int]:
    pred, gt, bones = masks
    false_positive, false_negative = wrong_regions(pred, gt, bones, relax, morphology)
    return *_clicks(*false_positive, epsilon, distance), *_clicks(*false_negative, epsilon, distance)


def wrong_regions(
    pred: Tensor, gt: Tensor, bones: Tensor, relax: int, morphology: ModuleType
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """What is to be corrected, false positives and false negatives, each with what it has to be separated from.

    Masks are bool (H, W), `bones` is the skeleton of `gt`; `morphology` has erode and dilate.
    """
    core = morphology.erode(pred | gt, relax)
    false_positive, false_negative = pred & ~gt, gt & ~pred
    fp = morphology.dilate(false_positive & core, relax, false_positive)
    fn = morphology.dilate(false_negative & core, relax, false_negative) | (bones & ~pred)
    known = (pred & gt) | fn
    return (fp, known), (fn, ~(known | fp))


def _clicks(wrong: Tensor, border: Tensor, epsilon: float, distance: str) -> tuple[int, int]:
    """Clicks on wrong regions: polygon points where they touch `border`, and regions that do not touch it."""
    points, lengths, is_hole, parents = (part.cpu().numpy() for part in contours.contours(wrong))
    # A region that fills the image has no outside to be separated from, nor a label in the official script.
    if not len(lengths) or bool(wrong.all()):
        return 0, 0
    clicked = clicked_points(points, border, morphology)
    region = np.where(is_hole, parents, np.arange(len(lengths)))
    touched = np.unique(np.repeat(region, lengths)[clicked]).size
    lines = polylines(points, lengths, clicked)
    corners = sum(len(contours.approximate_polygon(line, epsilon, False, distance)) for line in lines)
    return corners, int(np.count_nonzero(~is_hole)) - touched


def clicked_points(points: NDArray[np.int32], border: Tensor, morphology: ModuleType) -> NDArray[np.bool_]:
    """Mark the points of all contours of a mask that touch `border`, each pixel where it comes first."""
    columns, rows = points.T.astype(np.int64)
    near = morphology.dilate(border, 1, None).cpu().numpy()
    return np.asarray(near[rows, columns] & _first_visits(rows * near.shape[1] + columns))


def _first_visits(pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark where each pixel of a sequence comes first: what one contour has clicked, no other clicks again."""
    first = np.zeros(len(pixels), np.bool_)
    first[np.unique(pixels, return_index=True)[1]] = True
    return first


def polylines(
    points: NDArray[np.int32], lengths: NDArray[np.int64], clicked: NDArray[np.bool_]
) -> Iterator[NDArray[np.int32]]:
    """Cut contours into their clicked runs; runs that meet where a contour starts and ends are joined."""
    places = np.cumsum(lengths[:-1])
    for contour, marks in zip(np.split(points, places), np.split(clicked, places), strict=True):
        ends = np.flatnonzero(np.diff(marks, prepend=False, append=False))
        runs = [contour[start:end] for start, end in zip(ends[::2], ends[1::2], strict=True)]
        if len(runs) > 1 and np.abs(runs[0][0] - runs[-1][-1]).max() == 1:
            # The official script appends the first run turned round; its counts need that.
            runs = [*runs[1:-1], np.concatenate([runs[-1], runs[0][::-1]])]
        yield from runs
