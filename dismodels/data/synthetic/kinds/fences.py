"""Bars and rails: fences, gates, ladders."""

import math
from itertools import pairwise

import numpy as np

from dismodels.data.synthetic.curves import arc, circle, line, polygon, rectangle, spiral
from dismodels.data.synthetic.sketch import Sketch


def fence(sketch: Sketch) -> None:
    """A row of pickets on rails: boards, or iron bars with rings between the upper rails."""
    rng = sketch.rng
    half = rng.uniform(0.45, 0.7)
    pickets = sketch.count((6, 11, 17, 40), 1.8)
    pitch = 2.0 / pickets
    board = pitch * rng.uniform(0.18, 0.3) if sketch.level < 4 else pitch * 0.14
    x = np.linspace(-1.0, 1.0, pickets)
    rails = np.linspace(-half * 0.65, half * 0.8, 2 if sketch.level < 3 else sketch.level)
    sketch.strokes([line((-1.05, y), (1.05, y)) for y in rails], rng.uniform(0.025, 0.06), colour=1)
    tip = pitch * rng.uniform(0.3, 0.8)
    for i, c in enumerate(x):
        top = -half - 0.06 * (i % 2) * (sketch.level > 2)
        outline = (c - board, half), (c - board, top + tip), (c, top), (c + board, top + tip), (c + board, half)
        sketch.fill(polygon(*((float(a), float(b)) for a, b in outline)))
    if sketch.level >= 3:
        centres = (x[:-1] + x[1:]) / 2
        drop = float(rails[0]) + pitch * 0.45
        sketch.strokes([circle((float(c), drop), pitch * 0.36, 20) for c in centres], pitch * 0.12, 2, closed=True)
    if sketch.level == 4:
        low, high = float(rails[1]), float(rails[2])
        sketch.strokes([line((a, low), (b, high)) for a, b in pairwise(x.tolist())], 0.008, 1)
        sketch.strokes([line((b, low), (a, high)) for a, b in pairwise(x.tolist())], 0.008, 1)


def gate(sketch: Sketch) -> None:
    """An arched wrought-iron gate of two wings: bars, a middle rail and, on higher levels, scrolls."""
    rng = sketch.rng
    bars = 2 * sketch.count((3, 4, 6, 15), 0.8)
    rise = rng.uniform(-0.1, 0.35)
    frame = rng.uniform(0.04, 0.07)
    x = np.linspace(-0.8, 0.8, bars + 1)
    top = -0.55 - rise * np.cos(x / 0.8 * math.pi / 2)
    sketch.strokes([line((float(a), float(b)), (float(a), 0.9)) for a, b in zip(x, top, strict=True)], 0.45 / bars)
    sketch.stroke(np.stack([x, top], axis=1), frame)
    for y in (0.9, rng.uniform(0.2, 0.45), rng.uniform(-0.4, -0.2))[: 2 + (sketch.level > 1)]:
        sketch.stroke(line((-0.8, y), (0.8, y)), frame * 0.8)
    for side in (-1.0, 1.0):
        sketch.fill(rectangle(side * 0.88 - 0.08, -0.7, side * 0.88 + 0.08, 1.0), colour=1)
        sketch.fill(circle((side * 0.88, -0.78), 0.1, 24), colour=1)
    if sketch.level >= 2:
        pitch = 1.6 / bars
        for a in (x[:-1] + x[1:]) / 2:
            hook = spiral(
                (float(a), -0.08), pitch * 0.42, pitch * 0.1, -math.pi / 2, rng.uniform(2.0, 3.2) * math.pi, 28
            )
            sketch.stroke(hook, pitch * 0.13, colour=2)
    if sketch.level >= 3:
        sketch.strokes([circle((float(a), 0.55), 0.9 / bars, 20) for a in x[1:-1]], 0.2 / bars, 2, closed=True)


def ladder(sketch: Sketch) -> None:
    """A ladder, a step-ladder with its second pair of legs, or a run of banisters."""
    rng = sketch.rng
    rungs = sketch.count((5, 9, 16, 30), 2.0)
    half, taper = rng.uniform(0.22, 0.34), rng.uniform(0.0, 0.12)
    rail = rng.uniform(0.05, 0.09)
    y = np.linspace(-0.85, 0.85, rungs)
    if rng.random() < 0.5:
        sketch.stroke(polygon((half - taper, -1.0), (half + 0.5, 1.0)), rail * 0.8, colour=2)
        sketch.stroke(polygon((-half + taper, -1.0), (-half + 0.5, 1.0)), rail * 0.8, colour=2)
        sketch.strokes([line((-half + 0.3 + 0.2 * v, v), (half + 0.3 + 0.2 * v, v)) for v in y[rungs // 2 :]], 0.02, 2)
    sketch.strokes([line((-half, float(v)), (half, float(v))) for v in y], min(0.07, 0.6 / rungs), colour=1)
    sketch.stroke(line((-half + taper, -1.0), (-half - taper, 1.0)), rail)
    sketch.stroke(line((half - taper, -1.0), (half + taper, 1.0)), rail)
    if sketch.level >= 3:
        columns = np.linspace(-half, half, sketch.count((2, 3, 5, 8), 2 * half))
        sketch.strokes([line((float(c), -0.9), (float(c), 0.9)) for c in columns], 0.012)
        sketch.stroke(arc((0.0, -1.0), half, 0.15, math.pi, 2 * math.pi), rail * 0.6)
