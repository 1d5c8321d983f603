"""Calls into ``csrc/contours.cpp``."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.native import best_instruction_set, extension
from dislayers.contours.reference import check_curves


def contours(mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As :func:`dislayers.contours.reference.contours`."""
    assert extension is not None
    # One pixel that is not set has no contours, as no pixel has none.
    rows = mask if mask.numel() else torch.zeros(1, 1, dtype=torch.bool)
    rows = rows if rows.stride(1) == 1 else rows.contiguous()
    found = extension.contours_cpu(rows.data_ptr(), rows.stride(0), tuple(rows.shape), best_instruction_set)
    points, is_hole = torch.empty((found.points, 2), dtype=torch.int32), torch.empty(found.count, dtype=torch.bool)
    lengths, parents = torch.empty(found.count, dtype=torch.int64), torch.empty(found.count, dtype=torch.int64)
    found.write(*(part.data_ptr() for part in (points, lengths, is_hole, parents)))
    return points, lengths, is_hole, parents


def approximate_polygons(
    points: Tensor, lengths: Tensor, epsilon: float, closed: bool, distance: str
) -> tuple[Tensor, Tensor]:
    """As :func:`dislayers.contours.reference.approximate_polygons`."""
    assert extension is not None
    check_curves(points, lengths)
    points, lengths = points.contiguous(), lengths.contiguous()
    corners, counts = torch.empty_like(points), torch.empty_like(lengths)
    curves = points.data_ptr(), lengths.data_ptr(), len(lengths)
    kept = extension.approximate_polygons_cpu(
        *curves, epsilon, distance == "segment", closed, corners.data_ptr(), counts.data_ptr()
    )
    return corners[:kept].clone(), counts
