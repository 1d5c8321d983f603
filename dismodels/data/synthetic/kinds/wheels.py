"""Spokes: wheels, bicycles, ferris wheels."""

import math

import numpy as np

from dismodels.data.synthetic.curves import Pair, arc, circle, line, polygon, ring
from dismodels.data.synthetic.sketch import Sketch


def wheel(sketch: Sketch) -> None:
    """A cart or car wheel: tyre, rim, hub and straight spokes."""
    spokes = sketch.count((6, 14, 32, 70), 5.0)
    tyre = sketch.rng.uniform(0.06, 0.16) if sketch.level < 3 else sketch.rng.uniform(0.03, 0.07)
    _wheel(sketch, (0.0, 0.0), 0.92, spokes, tyre, min(0.12, 1.5 / spokes))
    for _ in range(sketch.level - 2):
        sketch.stroke(circle((0.0, 0.0), sketch.rng.uniform(0.3, 0.75)), 0.02, colour=1, closed=True)


def bicycle(sketch: Sketch) -> None:
    """A bicycle from the side: two spoked wheels, frame, fork, bars, saddle and crank, as a racer or with a rack."""
    rng = sketch.rng
    radius = rng.uniform(0.4, 0.46)
    spokes = sketch.count((6, 9, 18, 44), 5.0 * radius)
    tube = rng.uniform(0.03, 0.045)
    back, front, crank = (-0.58, 0.3), (0.58, 0.3), (-0.06, 0.32)
    seat, head = (-0.22, -0.28 + rng.normal(0, 0.03)), (0.4, -0.26 + rng.normal(0, 0.03))
    for centre in (back, front):
        _wheel(sketch, centre, radius, spokes, rng.uniform(0.03, 0.06), 0.008)
    sketch.stroke(polygon(back, crank, head, seat, crank), tube)
    sketch.stroke(polygon(back, seat), tube * 0.7)
    sketch.stroke(polygon((0.36, -0.42), head, front), tube)
    sketch.stroke(polygon(seat, (-0.26, -0.46)), tube * 0.7, colour=1)
    sketch.fill(polygon((-0.42, -0.5), (-0.1, -0.49), (-0.12, -0.45), (-0.36, -0.42)), colour=2)
    bars = arc((0.46, -0.36), 0.12, 0.12, -math.pi * 0.9, math.pi * rng.uniform(0.0, 0.6), 16)
    sketch.stroke(bars, tube * 0.8, colour=2)
    sketch.stroke(circle(crank, 0.1, 24), 0.03, colour=1, closed=True)
    sketch.stroke(polygon((-0.16, 0.46), crank, (0.04, 0.18)), 0.025, colour=1)
    if sketch.level >= 2:
        for centre in (back, front):
            sketch.stroke(arc(centre, radius + 0.06, radius + 0.06, -2.6, -0.6, 24), 0.025, colour=3)
    if sketch.level >= 3:
        rack = np.linspace(-0.85, -0.4, sketch.count((2, 3, 5, 9), 0.45))
        sketch.stroke(polygon((-0.85, -0.22), (-0.3, -0.22)), 0.02, colour=1)
        sketch.strokes([line((x, -0.22), back) for x in rack], 0.012, colour=1)


def ferris_wheel(sketch: Sketch) -> None:
    """A ferris wheel: two rims braced crosswise, spokes, cabins and a standing frame."""
    rng = sketch.rng
    cabins = sketch.count((8, 12, 14, 30), 4.0)
    inner, outer = rng.uniform(0.55, 0.65), 0.8
    for radius in (inner, outer):
        sketch.stroke(circle((0.0, 0.0), radius, 72), rng.uniform(0.015, 0.03), colour=1, closed=True)
    rim, near, far = (ring((0.0, 0.0), r, r, cabins) for r in (outer, inner, outer))
    hub = np.zeros(2)
    sketch.strokes([np.stack([hub, end]) for end in near], 0.012)
    sketch.strokes([np.stack([a, b]) for a, b in zip(near, np.roll(far, 1, axis=0), strict=True)], 0.012)
    sketch.strokes([np.stack([a, b]) for a, b in zip(near, np.roll(far, -1, axis=0), strict=True)], 0.012)
    sketch.stroke(polygon((-0.45, 1.0), (0.0, 0.0), (0.45, 1.0)), 0.05, colour=2)
    sketch.stroke(polygon((-0.6, 1.0), (0.6, 1.0)), 0.06, colour=2)
    sketch.fill(circle((0.0, 0.0), 0.08), colour=2)
    size = min(0.08, 1.9 / cabins)
    for x, y in rim:
        sketch.fill(circle((float(x), float(y) + size), size, 14), colour=3)


def _wheel(sketch: Sketch, centre: Pair, radius: float, spokes: int, tyre: float, spoke: float) -> None:
    rng = sketch.rng
    hub = radius * rng.uniform(0.08, 0.16)
    phase = rng.uniform(0.0, math.pi)
    slant = rng.choice([0.0, 1.2])  # tangential spokes cross, as a bicycle's do
    lean = slant * np.where(np.arange(spokes) % 2 == 0, 1.0, -1.0)
    angle = phase + 2 * math.pi * np.arange(spokes) / spokes
    inner = np.stack([centre[0] + hub * np.cos(angle + lean), centre[1] + hub * np.sin(angle + lean)], axis=1)
    outer = ring(centre, radius, radius, spokes, phase)
    sketch.strokes([np.stack([a, b]) for a, b in zip(inner, outer, strict=True)], spoke, colour=1)
    sketch.stroke(circle(centre, radius, 64), tyre, colour=2, closed=True)
    sketch.stroke(circle(centre, radius - tyre * 0.7, 64), tyre * 0.3, colour=1, closed=True)
    sketch.fill(circle(centre, hub, 20), colour=1)
