"""The op ``dismetrics::human_correction_effort``, and the functions that people call."""

from __future__ import annotations

from operator import index
from typing import NamedTuple

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.library import register
from dislayers._runtime.native import for_cpu
from dislayers.contours import Distance, check_tolerance
from dismetrics.human_correction_effort import kernel, reference
from dismetrics.pairs import Count, Images, Pair, for_each_image


class HumanCorrectionEffort(NamedTuple):
    """Clicks that correct a prediction: polygon points and one-click regions, for false positives and negatives."""

    fp_points: Count
    fp_regions: Count
    fn_points: Count
    fn_regions: Count
    total: Count


def _fake(pred: Tensor, *_: object) -> Tensor:
    return pred.new_empty((*pred.shape[:-2], 4), dtype=torch.int64)


_human_correction_effort = register(
    "dismetrics::human_correction_effort(Tensor pred, Tensor gt, Tensor? skeleton, int relax, float epsilon,"
    " str distance) -> Tensor",
    reference.human_correction_effort,
    _fake,
    kernels=[for_cpu("human_correction_effort", kernel.human_correction_effort)],
    backward=None,
)


def check_options(relax: int, epsilon: float, distance: str) -> None:
    """Raise TypeError or ValueError unless `human_correction_effort` takes these."""
    check.count("relax", index(relax))
    check_tolerance(epsilon, distance)


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
        distance: how the polygons measure it, see `dislayers.approximate_polygons`. The published tables are "line";
            the official script gives "segment" when run with OpenCV >= 4.13.

    Returns:
        Integers; int64 (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.
        ValueError: a negative `relax` or `epsilon`, or another `distance`.

    Numerics: integer arithmetic but for the polygons' tolerance; equal to the official script.
    Source: Qin et al., ECCV 2022 (DIS5K), section 5, algorithm 1, and its script, which the paper simplifies.
    """
    check_options(relax, epsilon, distance)
    return for_each_image(lambda pair: human_correction_effort_of(pair, relax, epsilon, distance), pred, gt)


def human_correction_effort_of(
    pair: Pair, relax: int = 5, epsilon: float = 2.0, distance: Distance = "line"
) -> HumanCorrectionEffort:
    """Human correction effort of a pair."""
    skeleton = None if pair.skeleton is None else torch.from_numpy(pair.skeleton)
    masks = torch.from_numpy(pair.mask), torch.from_numpy(pair.truth), skeleton
    clicks = _human_correction_effort(*masks, index(relax), float(epsilon), distance)
    return HumanCorrectionEffort._make([*clicks.tolist(), int(clicks.sum())])
