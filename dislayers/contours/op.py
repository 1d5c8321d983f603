"""The ops ``dislayers::contours`` and ``dislayers::approximate_polygons``, and the functions that people call."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.library import register
from dislayers._runtime.native import for_cpu
from dislayers.contours import kernel, reference

Distance = Literal["line", "segment"]


class Contours(NamedTuple):
    """The contours of a mask, each before those in it.

    Args:
        points: int32 (N, 2), column and row of every point, one contour after another.
        lengths: int64 (C,), how many points each has: ``points.split(lengths.tolist())`` are the contours.
        is_hole: bool (C,), whether it is the contour of a hole.
        parents: int64 (C,), the contour directly around it; -1 for none.
    """

    points: Tensor
    lengths: Tensor
    is_hole: Tensor
    parents: Tensor


class Curves(NamedTuple):
    """Curves one after another.

    Args:
        points: int32 (N, 2).
        lengths: int64 (C,), how many points each has.
    """

    points: Tensor
    lengths: Tensor


def _fake_contours(mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    context = torch.library.get_ctx()
    points, count = context.new_dynamic_size(), context.new_dynamic_size()
    lengths, parents = mask.new_empty(count, dtype=torch.int64), mask.new_empty(count, dtype=torch.int64)
    return mask.new_empty((points, 2), dtype=torch.int32), lengths, mask.new_empty(count, dtype=torch.bool), parents


def _fake_polygons(points: Tensor, lengths: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    corners = torch.library.get_ctx().new_dynamic_size()
    return points.new_empty((corners, 2)), torch.empty_like(lengths, memory_format=torch.contiguous_format)


_contours = register(
    "dislayers::contours(Tensor mask) -> (Tensor, Tensor, Tensor, Tensor)",
    reference.contours,
    _fake_contours,
    kernels=[for_cpu("contours", kernel.contours)],
    backward=None,
)
_approximate_polygons = register(
    "dislayers::approximate_polygons(Tensor points, Tensor lengths, float epsilon, bool closed, str distance)"
    " -> (Tensor, Tensor)",
    reference.approximate_polygons,
    _fake_polygons,
    kernels=[for_cpu("approximate_polygons", kernel.approximate_polygons)],
    backward=None,
)


def check_tolerance(epsilon: float, distance: str) -> None:
    """Raise TypeError or ValueError unless `approximate_polygons` takes these."""
    check.within("epsilon", epsilon, 0, math.inf)
    check.one_of("distance", distance, get_args(Distance))


def contours(mask: Tensor) -> Contours:
    """The borders of every region of a mask and of its holes, as sequences of the region's pixels.

    A region is connected over corners, a hole over edges. A contour passes every pixel of the region that has an edge
    in common with the background, in order; a pixel that is passed twice comes twice.

    Args:
        mask: (H, W), bool or uint8 (nonzero is set), on CPU or CUDA.

    Returns:
        The contours; all of them in a region or hole from the last that a raster scan finds to the first.

    Raises:
        TypeError: mask is neither bool nor uint8.
        ValueError: mask has not two dimensions.

    Numerics:
        Exact: every point, start, direction and order is that of OpenCV's ``findContours`` with ``RETR_TREE`` and
        ``CHAIN_APPROX_NONE``. How many there are depends on the data, so compiled code knows no sizes.
        There is no CUDA kernel: a mask on a GPU is copied to the CPU.

    Source:
        Suzuki and Abe (1985), algorithm 1.
    """
    check.mask("mask", mask)
    if mask.ndim != 2:
        raise ValueError(f"mask must have the shape (H, W), got {tuple(mask.shape)}")
    return Contours(*_contours(mask))


def approximate_polygons(
    points: Tensor, lengths: Tensor, epsilon: float, closed: bool = False, distance: Distance = "line"
) -> Curves:
    """Polygons through some of the points of curves.

    Between two corners, the point furthest from the line through them becomes a corner if it is further than epsilon,
    and so on; in the end, corners that lie nearly on a straight line are removed.

    Args:
        points: int32 (N, 2), the points of one curve after another; coordinates between -2^30 and 2^30.
        lengths: int64 (C,), how many points each curve has; their sum is N.
        epsilon: in pixels, at least 0.
        closed: curves return to their first point. A curve that is not closed but ends where it starts is split as a
            closed one.
        distance: "line", from the infinite line through two corners; "segment", from the segment between them.

    Returns:
        The corners of all curves, and how many each has.

    Raises:
        TypeError: points is not int32, lengths is not int64, or epsilon is no number.
        ValueError: a shape, coordinate, epsilon or distance is not as above, lengths has another sum or a negative
            element.

    Numerics:
        Distances are compared in exact integers and float64. Every corner is that of OpenCV's ``approxPolyDP``, up to
        4.12 with "line" and from 4.13 on with "segment". There is no CUDA kernel: a GPU's curves are copied to the CPU.

    Source:
        Douglas and Peucker (1973).
    """
    check.typed("points", points, torch.int32)
    check.typed("lengths", lengths, torch.int64)
    if points.shape[1:] != (2,) or lengths.ndim != 1:
        shapes = f"{tuple(points.shape)} and {tuple(lengths.shape)}"
        raise ValueError(f"points and lengths must have the shapes (N, 2) and (C,), got {shapes}")
    check_tolerance(epsilon, distance)
    return Curves(*_approximate_polygons(points, lengths, float(epsilon), closed, distance))


def approximate_polygon(points: Tensor, epsilon: float, closed: bool = False, distance: Distance = "line") -> Tensor:
    """The corners, int32 (M, 2), of one curve (N, 2); see :func:`approximate_polygons`."""
    length = torch.full((1,), points.shape[0], dtype=torch.int64, device=points.device)
    return approximate_polygons(points, length, epsilon, closed, distance).points
