"""Holes: perforated panels, doilies, leaves of lace."""

import math
from itertools import pairwise

import numpy as np

from dismodels.data.synthetic.curves import TURN, Points, circle, ring, superellipse, turned
from dismodels.data.synthetic.sketch import Sketch


def panel(sketch: Sketch) -> None:
    """A sheet, round or rectangular, with a grid of round, square or slotted holes."""
    rng = sketch.rng
    half = rng.uniform(0.6, 0.95)
    number = sketch.count((2, 4, 8, 22), 1.6) | 1  # odd, so that a hole lies in the middle
    exponent = rng.choice([2.0, 5.0, 12.0])
    sketch.fill(superellipse((0.0, 0.0), 0.95, half, exponent))
    pitch = 1.7 / number
    hole = superellipse(
        (0.0, 0.0), pitch * rng.uniform(0.3, 0.4), pitch * rng.uniform(0.3, 0.4), rng.choice([1.0, 2.0, 6.0]), 20
    )
    stagger = rng.random() < 0.5
    steps = np.arange(number) - number // 2
    for row in steps:
        y = row * pitch * (0.9 if stagger else 1.0)
        for x in (steps + 0.5 * (stagger and row % 2)) * pitch:
            rim_x, rim_y = (abs(x) + pitch * 0.45) / 0.95, (abs(y) + pitch * 0.45) / half
            if rim_x**exponent + rim_y**exponent < 1.0:
                sketch.cut(hole + np.array([x, y]))


def doily(sketch: Sketch) -> None:
    """A round piece of lace: scalloped edge, rings of petals and of eyelets."""
    rng = sketch.rng
    rings = sketch.count((2, 2, 4, 9), 0.9)
    scallops = sketch.count((8, 14, 24, 40), 5.0)
    sketch.strokes(
        [ring((float(x), float(y)), 2.6 / scallops, 2.6 / scallops, 20) for x, y in ring((0, 0), 0.85, 0.85, scallops)],
        0.9 / scallops,
        1,
        closed=True,
    )
    sketch.fill(circle((0.0, 0.0), 0.85, 72))
    edges = np.linspace(0.12, 0.82, rings + 1)
    for index, (low, high) in enumerate(pairwise(edges)):
        radius, depth = (low + high) / 2, (high - low) * 0.36
        around = min(int(TURN * radius / (depth * rng.uniform(2.2, 3.4))), int(TURN * radius / (6.0 * sketch.pixel)))
        around = max(5, around)
        petal = superellipse((0.0, 0.0), depth, min(depth * 1.2, radius * 2.0 / around), rng.choice([1.2, 2.0]), 16)
        for angle in TURN * (np.arange(around) + 0.5 * (index % 2)) / around:
            sketch.cut(turned(petal + np.array([radius, 0.0]), float(angle)))


def leaf(sketch: Sketch) -> None:
    """A skeleton leaf: a blade opened between midrib and veins."""
    rng = sketch.rng
    veins, rows = sketch.count((3, 6, 10, 20), 1.8), sketch.count((2, 2, 3, 7), 0.5)
    bulge = rng.uniform(0.4, 0.6)
    t = np.linspace(0.0, 1.0, 40)
    half = bulge * np.sin(math.pi * t**0.8) ** 0.9
    y = -0.95 + 1.7 * t
    sketch.fill(np.concatenate([np.stack([half, y], 1), np.stack([-half, y], 1)[::-1]]))
    for side in (-1.0, 1.0):
        for i in range(veins):
            low, high = 0.1 + 0.8 * i / veins, 0.1 + 0.8 * (i + 0.72) / veins
            for j in range(rows):
                inner, outer = 0.08 + 0.8 * j / rows, 0.08 + 0.8 * (j + 0.72) / rows
                sketch.cut(_cell(t, half, side, low, high, inner, outer))
    sketch.stroke(np.array([[0.0, -0.9], [0.0, 1.0]]), 0.05, colour=1)


def _cell(t: Points, half: Points, side: float, low: float, high: float, inner: float, outer: float) -> Points:
    """One opening of the blade between two veins; the veins slant towards the tip."""
    corners = [(low, inner), (high, inner), (high, outer), (low, outer)]
    points = []
    for along, across in corners:
        along = min(max(along - 0.12 * across, 0.02), 0.98)
        points.append((side * across * float(np.interp(along, t, half)), -0.95 + 1.7 * along))
    return np.array(points)
