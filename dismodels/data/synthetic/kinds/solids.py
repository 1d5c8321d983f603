"""Compact things with handles and openings: chairs, tables, vases, bags, spectacles, scissors."""

import math

import numpy as np

from dismodels.data.synthetic.curves import TURN, arc, circle, line, polygon, revolved, ring, superellipse, turned
from dismodels.data.synthetic.sketch import Sketch


def chair(sketch: Sketch) -> None:
    """A chair in slight perspective with a slatted or latticed back."""
    rng = sketch.rng
    leg = rng.uniform(0.07, 0.11)
    sketch.strokes([line((-0.35, 0.15), (-0.4, 0.85)), line((0.5, 0.15), (0.55, 0.85))], leg * 0.8)
    sketch.strokes([line((-0.4, -1.0), (-0.4, 0.1)), line((0.4, -1.0), (0.4, 0.1))], leg)
    slats = sketch.count((3, 5, 8, 14), 0.8)
    for x in np.linspace(-0.4, 0.4, slats + 2)[1:-1]:
        sketch.stroke(line((float(x), -0.92), (float(x), 0.0)), 0.32 / (slats + 1), colour=1)
    for y in np.linspace(-0.92, -0.15, sketch.count((2, 2, 4, 8), 0.8)):
        sketch.stroke(line((-0.4, float(y)), (0.4, float(y))), leg * (0.9 if sketch.level < 3 else 0.35))
    sketch.fill(polygon((-0.42, 0.0), (0.42, 0.0), (0.6, 0.28), (-0.55, 0.28)), colour=2)
    sketch.strokes([line((-0.5, 0.3), (-0.55, 1.0)), line((0.55, 0.3), (0.6, 1.0))], leg)
    sketch.strokes([line((-0.53, 0.65), (0.57, 0.65)), line((-0.4, 0.55), (-0.53, 0.65))], leg * 0.5)


def table(sketch: Sketch) -> None:
    """A table or stool with splayed legs and a stretcher."""
    rng = sketch.rng
    splay = rng.uniform(0.0, 0.15)
    sketch.strokes([line((x * 0.55, -0.2), (x * (0.55 + splay), 0.5)) for x in (-1.0, 1.0)], 0.06, colour=1)
    if rng.random() < 0.5:
        sketch.fill(ring((0.0, -0.3), 0.95, rng.uniform(0.16, 0.28), 48))
    else:
        sketch.fill(polygon((-0.7, -0.45), (0.7, -0.45), (0.98, -0.15), (-0.98, -0.15)))
    sketch.strokes([line((x * 0.75, -0.15), (x * (0.75 + splay), 0.8)) for x in (-1.0, 1.0)], rng.uniform(0.07, 0.1), 1)
    sketch.stroke(line((-0.75, 0.4), (0.75, 0.4)), 0.05, colour=2)
    for x in np.linspace(-0.6, 0.6, 3 * sketch.level)[: 3 * (sketch.level - 1)]:
        sketch.stroke(line((float(x), -0.12), (float(x), 0.4)), 0.03, colour=2)


def vase(sketch: Sketch) -> None:
    """A turned vase, jug or teapot with none to two handles, openwork on level 2."""
    rng = sketch.rng
    heights = np.linspace(-0.9, 0.9, 6)
    widths = np.array([0.3, 0.2, 0.45, 0.6, 0.45, 0.3]) * rng.uniform(0.7, 1.25, 6)
    for side in (-1.0, 1.0)[: rng.integers(1, 3)]:
        sketch.stroke(
            arc((side * 0.42, -0.25), 0.4, rng.uniform(0.3, 0.5), 0.0, TURN), rng.uniform(0.07, 0.12), 1, True
        )
    sketch.fill(revolved(heights, widths))
    for y in rng.uniform(-0.5, 0.7, 3):
        half = float(np.interp(y, heights, widths)) * 0.86
        sketch.stroke(line((-half, y), (half, y)), rng.uniform(0.02, 0.08), colour=2)
    if sketch.level > 1:
        for centre in ring((0.0, 0.2), 0.27, 0.3, sketch.count((3, 8, 11, 14), 3.0)):
            sketch.cut(circle((float(centre[0]), float(centre[1])), 0.065, 20))


def bag(sketch: Sketch) -> None:
    """A bag or suitcase: rounded body, pocket, straps, and handles one sees through."""
    rng = sketch.rng
    half, handle = rng.uniform(0.6, 0.9), rng.uniform(0.06, 0.1)
    sketch.stroke(arc((0.0, -0.15), half * 0.55, rng.uniform(0.5, 0.75), math.pi, TURN), handle, colour=1)
    if rng.random() < 0.6:
        sketch.stroke(arc((half * 0.25, -0.15), half * 0.5, rng.uniform(0.4, 0.6), math.pi, TURN), handle, colour=1)
    sketch.fill(superellipse((0.0, 0.35), half, 0.55, rng.uniform(3.0, 8.0)))
    sketch.fill(superellipse((0.0, 0.5), half * 0.6, 0.28, 6.0), colour=2)
    sketch.strokes([line((x * half, -0.15), (x * half, 0.85)) for x in (-0.45, 0.45)], 0.07, colour=1)
    sketch.stroke(ring((0.0, 0.22), 0.07, 0.06, 16), 0.03, colour=3, closed=True)
    if sketch.level > 1:
        for x in np.linspace(-half * 0.8, half * 0.8, 4 * sketch.level):
            sketch.stroke(line((float(x), 0.88), (float(x) + rng.normal(0, 0.03), 1.12)), 0.025, colour=3)


def spectacles(sketch: Sketch) -> None:
    """Spectacles with folded temples, or a pair of goggles."""
    rng = sketch.rng
    rim, exponent = rng.uniform(0.05, 0.11), rng.uniform(2.0, 4.0)
    for side in (-1.0, 1.0):
        temple = polygon((side * 0.85, -0.15), (side * 0.98, -0.3), (side * 0.3, -0.55), (side * 0.1, -0.48))
        sketch.stroke(temple, rim * 0.8, colour=1)
        sketch.stroke(superellipse((side * 0.5, 0.0), 0.38, rng.uniform(0.28, 0.32), exponent), rim, closed=True)
    sketch.stroke(arc((0.0, 0.0), 0.14, 0.12, math.pi, TURN, 16), rim * 0.9, colour=1)


def scissors(sketch: Sketch) -> None:
    """Opened scissors or pliers: two crossed blades on ring handles."""
    rng = sketch.rng
    opening = rng.uniform(0.12, 0.4)
    for side in (-1.0, 1.0):
        blade = polygon((-0.06, 0.05), (-0.02, -0.95), (0.07, -0.3), (0.07, 0.1))
        sketch.fill(turned(blade * (side, 1.0), side * opening))
        sketch.stroke(turned(line((0.0, 0.0), (0.0, 0.4)), side * opening), 0.12)
        handle = ring((side * -0.06, 0.62), rng.uniform(0.15, 0.2), rng.uniform(0.22, 0.28), 40)
        sketch.stroke(turned(handle, side * opening), rng.uniform(0.07, 0.11), colour=1, closed=True)
    sketch.fill(circle((0.0, 0.0), 0.05, 20), colour=2)
