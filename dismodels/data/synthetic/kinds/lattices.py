"""Braced frames: pylons, truss bridges, scaffolds."""

import math

import numpy as np

from dismodels.data.synthetic.curves import Points, line, polygon
from dismodels.data.synthetic.sketch import Sketch


def pylon(sketch: Sketch) -> None:
    """A tapering lattice tower with arms and, on higher levels, insulators and wires."""
    rng = sketch.rng
    storeys = sketch.count((4, 5, 9, 16), 1.5)
    foot, head = rng.uniform(0.35, 0.5), rng.uniform(0.05, 0.1)
    y = 1.0 - 1.9 * np.linspace(0.0, 1.0, storeys + 1) ** 0.8
    half = foot + (head - foot) * ((1.0 - y) / 1.9) ** 0.7
    bar = rng.uniform(0.4, 0.6) / (storeys + 4)
    left, right = np.stack([-half, y], axis=1), np.stack([half, y], axis=1)
    _brace(sketch, left, right, bar * 0.6)
    for leg in (left, right):
        sketch.stroke(leg, bar)
    arms = 1 + sketch.level // 2
    for level in np.linspace(-0.75, -0.25, arms):
        reach = rng.uniform(0.5, 0.8)
        for side in (-1.0, 1.0):
            tip = (side * reach, float(level))
            sketch.stroke(polygon((0.0, float(level) - 0.12), tip, (0.0, float(level) + 0.02)), bar * 0.8)
            sketch.stroke(line(tip, (tip[0], tip[1] + 0.12)), bar, colour=1)
            if sketch.level >= 3:
                inner = np.linspace(0.15, 0.85, sketch.level + 1) * reach * side
                sketch.strokes(
                    [line((x, level + 0.02), (x, level - 0.12 + 0.12 * abs(x) / reach)) for x in inner], bar * 0.5
                )


def bridge(sketch: Sketch) -> None:
    """A truss bridge: straight or arched upper chord, crossed or single diagonals, piers."""
    rng = sketch.rng
    bays = sketch.count((4, 6, 12, 24), 2.0)
    rise, height = rng.uniform(0.0, 0.3), rng.uniform(0.25, 0.4)
    x = np.linspace(-1.0, 1.0, bays + 1)
    top = np.stack([x, -height - rise * (1.0 - x**2)], axis=1)
    deck = np.stack([x, np.full_like(x, 0.1)], axis=1)
    bar = min(0.07, 0.6 / bays)
    _brace(sketch, top, deck, bar * 0.6, crossed=sketch.level > 1)
    sketch.stroke(top, bar)
    sketch.stroke(deck, bar * 1.5, colour=1)
    if sketch.level >= 3:
        rail = deck - (0.0, 0.1)
        sketch.stroke(rail, bar * 0.4, colour=2)
        sketch.strokes([np.stack([a, b]) for a, b in zip(deck, rail, strict=True)], bar * 0.4, colour=2)
    for side in rng.uniform(0.5, 0.95) * np.array([-1.0, 1.0]):
        sketch.fill(polygon((side - 0.07, 0.1), (side + 0.07, 0.1), (side + 0.1, 0.65), (side - 0.1, 0.65)), colour=3)


def scaffold(sketch: Sketch) -> None:
    """A scaffold or a set of shelves: posts, floors, and diagonals in some of the bays."""
    rng = sketch.rng
    columns, floors = sketch.count((2, 2, 4, 8), 1.4), sketch.count((3, 3, 5, 10), 2.0)
    x, y = np.linspace(-0.7, 0.7, columns + 1).tolist(), np.linspace(-1.0, 1.0, floors + 1).tolist()
    post = 0.26 / (columns + 2)
    for i, j in np.ndindex(columns, floors):
        if rng.random() < 0.45:
            start, end = (i, i + 1) if rng.random() < 0.5 else (i + 1, i)
            sketch.stroke(line((x[start], y[j]), (x[end], y[j + 1])), post * 0.5, colour=1)
    for v in y[:-1]:
        sketch.stroke(line((-0.78, v), (0.78, v)), post * rng.uniform(0.8, 1.6), colour=2)
    sketch.strokes([line((u, -1.0), (u, 1.03)) for u in x], post)


def _brace(sketch: Sketch, first: Points, second: Points, width: float, crossed: bool = True) -> None:
    """Rungs and diagonals between two chords of N points each."""
    sketch.strokes([np.stack([a, b]) for a, b in zip(first, second, strict=True)], width)
    sketch.strokes([np.stack([a, b]) for a, b in zip(first[:-1], second[1:], strict=True)], width)
    if crossed:
        sketch.strokes([np.stack([a, b]) for a, b in zip(first[1:], second[:-1], strict=True)], width)


def lamp_post(sketch: Sketch) -> None:
    """A street lamp with curled arms; the plainest thing made of bars."""
    rng = sketch.rng
    sketch.stroke(line((0.0, -0.8), (0.0, 1.0)), rng.uniform(0.07, 0.1))
    sketch.fill(polygon((-0.2, 1.05), (0.2, 1.05), (0.08, 0.8), (-0.08, 0.8)))
    for side in (-1.0, 1.0)[: 1 + sketch.level]:
        angle = np.linspace(math.pi, 2.2 * math.pi, 20)
        arm = np.stack([side * (0.25 + 0.25 * np.cos(angle)), -0.6 + 0.3 * np.sin(angle)], axis=1)
        sketch.stroke(arm, 0.045)
        x, y = float(arm[-1, 0]), float(arm[-1, 1])
        sketch.fill(polygon((x - 0.06, y), (x + 0.06, y), (x + 0.16, y + 0.28), (x - 0.16, y + 0.28)), colour=1)
        sketch.stroke(line((x - 0.17, y + 0.28), (x + 0.17, y + 0.28)), 0.04, colour=2)
