"""Border following and polygons of curves, in plain Python and NumPy."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

Points = NDArray[np.int64]

# Directions are numbered from east, counterclockwise: (column, row).
_STEPS = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))


def contours(mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Suzuki and Abe's algorithm 1, on (H, W): points, lengths, is_hole and parents in the order of the tree."""
    borders, is_hole, parents = _borders(pad(mask != 0, (1, 1, 1, 1)).int().tolist())
    children: list[list[int]] = [[] for _ in borders]
    for border in range(len(borders) - 1, 0, -1):
        children[parents[border]].append(border)
    order, waiting = list[int](), children[0][::-1]
    while waiting:
        order.append(waiting.pop())
        waiting += children[order[-1]][::-1]
    place = {border: i for i, border in enumerate(order)} | {0: -1}
    points = [point for border in order for point in borders[border]]
    return (
        torch.tensor(points, dtype=torch.int32, device=mask.device).view(-1, 2) - 1,
        torch.tensor([len(borders[border]) for border in order], dtype=torch.int64, device=mask.device),
        torch.tensor([is_hole[border] for border in order], dtype=torch.bool, device=mask.device),
        torch.tensor([place[parents[border]] for border in order], dtype=torch.int64, device=mask.device),
    )


def _borders(image: list[list[int]]) -> tuple[list[list[tuple[int, int]]], list[bool], list[int]]:
    """Points, kind and parent of every border in the order of a raster scan; border 0 is the image's frame, a hole.

    Pixels on border n become n + 1, negative where the edge to their right is one of the border's.
    """
    borders, is_hole, parents = list[list[tuple[int, int]]]([[]]), [True], [0]
    for y, row in enumerate(image):
        last = 0
        for x in range(len(row)):
            if row[x] == 0:
                continue
            outer, hole = row[x] == 1 and row[x - 1] == 0, row[x] > 0 and row[x + 1] == 0
            if outer or hole:
                if row[x] > 1:
                    last = row[x] - 1
                is_hole.append(not outer)
                parents.append(parents[last] if is_hole[last] == is_hole[-1] else last)
                borders.append(_follow(image, x, y, 4 if outer else 0, len(borders) + 1))
            if row[x] != 1:
                last = abs(row[x]) - 1
    return borders, is_hole, parents


def _follow(image: list[list[int]], x: int, y: int, background: int, label: int) -> list[tuple[int, int]]:
    """Points of the border that starts at a pixel with background in a direction."""
    around = [(background - i) % 8 for i in range(1, 9)]
    start = next((i for i in around if image[y + _STEPS[i][1]][x + _STEPS[i][0]]), None)
    if start is None:
        image[y][x] = -label
        return [(x, y)]
    points, here, back = list[tuple[int, int]](), (x, y), start
    while not points or (here, back) != ((x, y), start):
        points.append(here)
        passed_east = False
        for i in range(1, 9):
            direction = (back + i) % 8
            step = _STEPS[direction]
            if image[here[1] + step[1]][here[0] + step[0]]:
                break
            passed_east |= direction == 0
        if passed_east:
            image[here[1]][here[0]] = -label
        elif image[here[1]][here[0]] == 1:
            image[here[1]][here[0]] = label
        here, back = (here[0] + step[0], here[1] + step[1]), (direction + 4) % 8
    return points


def approximate_polygons(
    points: Tensor, lengths: Tensor, epsilon: float, closed: bool, distance: str
) -> tuple[Tensor, Tensor]:
    """The corners of every curve, one curve after another, and how many each has."""
    check_curves(points, lengths)
    curves = np.split(points.cpu().numpy(), np.cumsum(lengths.cpu().numpy()))[:-1]
    polygons = [torch.from_numpy(approximate_polygon(curve, epsilon, closed, distance)) for curve in curves]
    counts = torch.tensor([len(polygon) for polygon in polygons], dtype=torch.int64, device=points.device)
    return torch.cat([points[:0], *(polygon.to(points) for polygon in polygons)]), counts


def check_curves(points: Tensor, lengths: Tensor) -> None:
    """Raise ValueError unless the lengths cut the points into curves whose squared distances 64 bits hold."""
    # None above the sum, or a sum of 64 bits could come round to it.
    if bool(((lengths < 0) | (lengths > len(points))).any()) or int(lengths.sum()) != len(points):
        raise ValueError(f"lengths must be at least 0 and have the sum {len(points)} of the points, got {lengths}")
    least, most = map(int, points.aminmax()) if len(points) else (0, 0)
    if least <= -(2**30) or most >= 2**30:
        raise ValueError(f"points must be within 2^30 of 0, got {least} to {most}")


def approximate_polygon(points: NDArray[np.integer], epsilon: float, closed: bool, distance: str) -> Points:
    """The corners of one curve (N, 2)."""
    curve = points.astype(np.int64)
    if not len(curve):
        return curve
    if closed or (curve[0] == curve[-1]).all():
        corners = _split_ring(curve, epsilon, 3 if closed else 1, distance)
    else:
        corners = curve[_split(curve, [0, len(curve) - 1], epsilon, distance)]
    return _without_straight_corners(corners, epsilon, closed)


def _split_ring(points: Points, epsilon: float, searches: int, distance: str) -> Points:
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


def _split(points: Points, corners: list[int], epsilon: float, distance: str) -> list[int]:
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


def _without_straight_corners(corners: Points, epsilon: float, closed: bool) -> Points:
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
