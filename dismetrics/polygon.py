"""Dominant points of a contour, by Douglas and Peucker."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Distance = Literal["line", "segment"]
Points = NDArray[np.integer]


def approximate_polygon(
    points: Points, epsilon: float, closed: bool = False, distance: Distance = "line"
) -> NDArray[np.int64]:
    """Approximate a curve of integer points by a polygon through some of them.

    Between two kept points, the one furthest from the line through them is kept if it is further than epsilon,
    and so on; in the end, corners that lie nearly on a straight line are removed.

    Args:
        points: integers (N, 2), N >= 1.
        epsilon: in pixels, >= 0.
        closed: the curve returns to its first point. A curve that is not closed but ends where it starts is split as
            a closed one.
        distance: "line", from the infinite line through two kept points; "segment", from the segment between them.

    Returns:
        The corners, int64 (M, 2).

    Source: Douglas and Peucker, 1973, with OpenCV's start, ties and removal: approxPolyDP of OpenCV up to 4.12 is
    "line", from 4.13 "segment". HCE depends on it, so it does not come from the installed OpenCV.
    """
    points = np.asarray(points, np.int64)
    if closed or (points[0] == points[-1]).all():
        corners = _split_ring(points, epsilon, 3 if closed else 1, distance)
    else:
        corners = points[_split(points, [0, len(points) - 1], epsilon, distance)]
    return _without_straight_corners(corners, epsilon, closed)


def check_tolerance(epsilon: float, distance: str) -> None:
    """Raise ValueError unless `approximate_polygon` can work with these arguments of it."""
    if not epsilon >= 0:
        raise ValueError(f"epsilon: expected a number >= 0, got {epsilon}")
    if distance not in get_args(Distance):
        raise ValueError(f'distance: expected "line" or "segment", got {distance!r}')


def _split_ring(points: Points, epsilon: float, searches: int, distance: Distance) -> Points:
    """Corners of a ring, from two points that are about furthest apart."""
    start, furthest = 0, 0
    for _ in range(searches):
        start = (start + furthest) % len(points)
        ring = np.roll(points, -start, axis=0)
        squares = np.square(ring - ring[0]).sum(axis=1)
        furthest = int(squares.argmax())
    if squares[furthest] <= epsilon**2:
        return ring[:1]
    ring = np.concatenate([ring, ring[:1]])
    return ring[_split(ring, [0, furthest, len(points)], epsilon, distance)[:-1]]


def _split(points: Points, corners: list[int], epsilon: float, distance: Distance) -> list[int]:
    """Indices of the corners between given ones, by depth-first splitting."""
    furthest = _furthest_from_line if distance == "line" else _furthest_from_segment
    kept = [corners[0]]
    waiting = corners[:0:-1]
    while waiting:
        start, end = kept[-1], waiting[-1]
        split = furthest(points[start : end + 1], epsilon) if end - start > 1 else 0
        if split:
            waiting.append(start + split)
        else:
            kept.append(waiting.pop())
    return kept


def _furthest_from_line(points: Points, epsilon: float) -> int:
    """Index of the first of the points furthest from the line through the ends, or 0 if it is within epsilon."""
    (dx, dy), (x, y) = points[-1] - points[0], (points[1:-1] - points[0]).T
    areas = np.abs(y * dx - x * dy)
    first = int(areas.argmax())
    within = float(areas[first]) ** 2 <= epsilon**2 * float(dx * dx + dy * dy)
    return 0 if within else first + 1


def _furthest_from_segment(points: Points, epsilon: float) -> int:
    """Index of the first of the points furthest from the segment between the ends, or 0 if it is within epsilon."""
    (dx, dy), (x, y) = points[-1] - points[0], (points[1:-1] - points[0]).T
    length = dx * dx + dy * dy
    along = x * dx + y * dy
    squares = (y * dx - x * dy) ** 2 / length
    squares = np.where(along < 0, x**2 + y**2, squares)
    squares = np.where(along > length, (x - dx) ** 2 + (y - dy) ** 2, squares)
    first = int(squares.argmax())
    return 0 if squares[first] <= epsilon**2 else first + 1


def _without_straight_corners(corners: Points, epsilon: float, closed: bool) -> NDArray[np.int64]:
    """Remove corners nearly on the line between their neighbours; of two in a row the second stays."""
    kept = corners.tolist()
    count = remaining = len(kept)
    before, corner = (kept[-1], kept[0]) if closed else (kept[0], kept[1 % count])
    write, read = (0, 1 % count) if closed else (1 % count, 2 % count)
    step, last = (0, count) if closed else (1, count - 1)
    # The ring is rewritten in place while it is read: at its end, its first corners are read as rewritten.
    while step < last and remaining > 2:
        after, read = kept[read], (read + 1) % count
        straight = _nearly_straight(before, corner, after, epsilon)
        before = kept[write] = after if straight else corner
        write = (write + 1) % count
        if straight:
            corner, read = kept[read], (read + 1) % count
            remaining -= 1
        else:
            corner = after
        step += 2 if straight else 1
    if not closed:
        kept[write] = corner
    return np.array(kept[:remaining], np.int64)


def _nearly_straight(before: list[int], corner: list[int], after: list[int], epsilon: float) -> bool:
    dx, dy = after[0] - before[0], after[1] - before[1]
    if dx == 0 or dy == 0:
        return False
    x, y = corner[0] - before[0], corner[1] - before[1]
    forward = x * (after[0] - corner[0]) + y * (after[1] - corner[1]) >= 0
    return forward and float(x * dy - y * dx) ** 2 <= 0.5 * epsilon**2 * (dx * dx + dy * dy)
