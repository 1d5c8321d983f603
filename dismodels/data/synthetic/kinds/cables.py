"""Long curves: cables, tangles, ropes in knots."""

import math

import numpy as np

from dismodels.data.synthetic.curves import TURN, Points, polygon, rectangle, ring, spline, turned
from dismodels.data.synthetic.sketch import Sketch


def cables(sketch: Sketch) -> None:
    """Cables that sag between two sockets and cross on the way."""
    rng = sketch.rng
    number = sketch.count((3, 5, 9, 24), 2.6)
    width = min(0.09, 0.45 / number) * rng.uniform(0.7, 1.2)
    starts, ends = np.linspace(-0.75, 0.35, number), rng.permutation(np.linspace(-0.75, 0.35, number))
    x = np.linspace(-0.9, 0.9, 7)
    for top, bottom in zip(starts, ends, strict=True):
        sag = rng.uniform(0.2, 1.0) * (1.0 - (x / 0.9) ** 2)
        y = np.linspace(top, bottom, 7) + sag + rng.normal(0.0, 0.04, 7) * (np.abs(x) < 0.8)
        sketch.stroke(spline(np.stack([x, y], axis=1), 8), width, colour=int(rng.integers(0, 3)))
    for side in (-1.0, 1.0):
        sketch.fill(rectangle(side * 0.96 - 0.09, -0.85, side * 0.96 + 0.09, 0.45), colour=3)


def tangle(sketch: Sketch) -> None:
    """One long cable thrown down in loops, with a plug at its end."""
    rng = sketch.rng
    knots = sketch.count((6, 10, 20, 44), 12.0)
    # A walk on a disc in long strides: every stride crosses what already lies there.
    stride = rng.normal(2.2, 0.6, knots).cumsum()
    path = np.sqrt(rng.uniform(0.1, 1.0, knots))[:, None] * np.stack([np.cos(stride), np.sin(stride)], axis=1)
    width = (0.09, 0.075, 0.05, 0.026)[sketch.level - 1] * rng.uniform(0.8, 1.2)
    curve = spline(path, 10)
    # Short pieces carry their own tone, which reads as light along the cable.
    sketch.strokes([curve[i : i + 11] for i in range(0, len(curve) - 1, 10)], width)
    plug = polygon((-0.02, -0.05), (0.12, -0.05), (0.12, 0.05), (-0.02, 0.05)) * max(1.0, width * 14)
    direction = curve[-1] - curve[-2]
    sketch.fill(turned(plug, math.atan2(direction[1], direction[0])) + curve[-1], colour=1)


def knot(sketch: Sketch) -> None:
    """A rope laid in a closed rosette, a Lissajous figure or a plait about a ring."""
    rng = sketch.rng
    petals = sketch.count((3, 5, 9, 17), 3.0)
    strands = 1 if sketch.level == 1 else 2
    angle = np.linspace(0.0, TURN, 60 + 20 * petals, endpoint=False)
    width = min(0.1, 0.42 / (petals * strands)) * rng.uniform(0.8, 1.1)
    depth = rng.uniform(0.3, 0.45)
    for strand in range(strands):
        phase = math.pi * strand + rng.normal(0.0, 0.1)
        winding = 2 if petals % 2 else 3
        radius = 0.62 + depth * np.cos(petals / winding * angle * winding + phase)
        turn = angle * winding
        sketch.strokes(_pieces(np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)), width, strand)
    if rng.random() < 0.5:
        sketch.stroke(ring((0.0, 0.0), 0.62, 0.62, 64), width, colour=2, closed=True)


def _pieces(closed: Points, length: int = 12) -> list[Points]:
    points = np.concatenate([closed, closed[:1]])
    return [points[i : i + length + 1] for i in range(0, len(points) - 1, length)]
