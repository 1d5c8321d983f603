"""Calls into ``csrc/contours.cpp``."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.native import best_instruction_set, extension
from dislayers.contours.reference import check_lengths


def contours(mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As :func:`dislayers.contours.reference.contours`."""
    assert extension is not None
    if mask.numel() == 0:
        return _contour_list(0, 0)
    rows = mask if mask.stride(1) == 1 else mask.contiguous()
    found = extension.contours_cpu(rows.data_ptr(), rows.stride(0), tuple(rows.shape), best_instruction_set)
    result = _contour_list(found.points, found.count)
    found.write(*(part.data_ptr() for part in result))
    return result


def _contour_list(points: int, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    lengths, parents = torch.empty(count, dtype=torch.int64), torch.empty(count, dtype=torch.int64)
    return torch.empty((points, 2), dtype=torch.int32), lengths, torch.empty(count, dtype=torch.bool), parents


def approximate_polygons(
    points: Tensor, lengths: Tensor, epsilon: float, closed: bool, distance: str
) -> tuple[Tensor, Tensor]:
    """As :func:`dislayers.contours.reference.approximate_polygons`."""
    assert extension is not None
    check_lengths(points, lengths)
    points, lengths = points.contiguous(), lengths.contiguous()
    corners, counts = torch.empty_like(points), torch.empty_like(lengths)
    curves = points.data_ptr(), lengths.data_ptr(), len(lengths)
    kept = extension.approximate_polygons_cpu(
        *curves, epsilon, distance == "segment", closed, corners.data_ptr(), counts.data_ptr()
    )
    return corners[:kept].clone(), counts
