"""Plane curves as arrays of points: the vocabulary in which every synthetic object is drawn.

Every function returns float64 points (N, 2) of x (right) and y (down), in the units it is given.
"""

import math

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Pair = tuple[float, float]

TURN = 2.0 * math.pi


def line(start: Pair, end: Pair) -> Points:
    """The two ends of a straight line."""
    return np.array([start, end], dtype=np.float64)


def polygon(*corners: Pair) -> Points:
    """The corners of a polygon or of a broken line."""
    return np.array(corners, dtype=np.float64)


def rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    """The four corners of an upright rectangle."""
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


def arc(
    centre: Pair, radius_x: float, radius_y: float, start: float = 0.0, stop: float = TURN, count: int = 40
) -> Points:
    """An elliptic arc from angle `start` to `stop` (radians, clockwise on screen, 0 to the right)."""
    angle = np.linspace(start, stop, count)
    return np.stack([centre[0] + radius_x * np.cos(angle), centre[1] + radius_y * np.sin(angle)], axis=1)


def circle(centre: Pair, radius: float, count: int = 40) -> Points:
    """A circle without its repeated last point, to be drawn closed."""
    return arc(centre, radius, radius, 0.0, TURN * (count - 1) / count, count)


def superellipse(centre: Pair, radius_x: float, radius_y: float, exponent: float, count: int = 64) -> Points:
    """|x / a|^n + |y / b|^n = 1: a diamond at n = 1, an ellipse at 2, a rounded rectangle above."""
    angle = np.linspace(0.0, TURN, count, endpoint=False)
    cosine, sine = np.cos(angle), np.sin(angle)
    x = np.sign(cosine) * np.abs(cosine) ** (2.0 / exponent)
    y = np.sign(sine) * np.abs(sine) ** (2.0 / exponent)
    return np.stack([centre[0] + radius_x * x, centre[1] + radius_y * y], axis=1)


def spiral(centre: Pair, start_radius: float, stop_radius: float, start: float, stop: float, count: int = 48) -> Points:
    """An Archimedean spiral between two radii and two angles."""
    angle = np.linspace(start, stop, count)
    radius = np.linspace(start_radius, stop_radius, count)
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], axis=1)


def spline(knots: Points, steps: int = 12, closed: bool = False) -> Points:
    """A Catmull-Rom curve through the knots (K, 2), `steps` points between neighbours."""
    if closed:
        padded = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    before, start, end, after = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = (np.arange(steps) / steps)[None, :, None]
    pieces = start + 0.5 * t * (
        end - before + t * (2 * before - 5 * start + 4 * end - after + t * (3 * (start - end) + after - before))
    )
    curve = pieces.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, knots[-1:]])


def ring(centre: Pair, radius_x: float, radius_y: float, count: int, phase: float = 0.0) -> Points:
    """`count` points evenly spread on an ellipse."""
    angle = phase + TURN * np.arange(count) / count
    return np.stack([centre[0] + radius_x * np.cos(angle), centre[1] + radius_y * np.sin(angle)], axis=1)


def turned(points: Points, angle: float, centre: Pair = (0.0, 0.0)) -> Points:
    """The points turned by `angle` radians about `centre`."""
    cosine, sine = math.cos(angle), math.sin(angle)
    x, y = points[:, 0] - centre[0], points[:, 1] - centre[1]
    return np.stack([centre[0] + cosine * x - sine * y, centre[1] + sine * x + cosine * y], axis=1)


def revolved(heights: Points, widths: Points, steps: int = 8) -> Points:
    """The outline of a body of revolution about the y axis, from its half `widths` at `heights` (top to bottom)."""
    right = spline(np.stack([widths, heights], axis=1), steps)
    return np.concatenate([right, right[::-1] * (-1.0, 1.0)])
