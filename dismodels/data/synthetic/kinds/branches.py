"""Branches: trees, bonsai, coral."""

import math

import numpy as np

from dismodels.data.synthetic.curves import Points, polygon, ring
from dismodels.data.synthetic.sketch import Sketch

_GENERATIONS = (3, 4, 6, 8)


def tree(sketch: Sketch) -> None:
    """A leafless tree, or one with sparse leaves on the higher levels."""
    spread = sketch.rng.uniform(0.35, 0.55)
    tips = _grow(sketch, (0.0, 1.0), 0.62, sketch.rng.uniform(0.1, 0.16), spread, 0.76)
    if sketch.level >= 3:
        _leaves(sketch, tips, sketch.rng.uniform(0.02, 0.035))


def bonsai(sketch: Sketch) -> None:
    """A crooked little tree with leaves in a shallow pot."""
    tips = _grow(sketch, (0.0, 0.7), 0.5, sketch.rng.uniform(0.12, 0.18), 0.75, 0.74)
    _leaves(sketch, tips, 0.11 / math.sqrt(sketch.level) if sketch.level < 4 else 0.03)
    sketch.fill(polygon((-0.5, 0.68), (0.5, 0.68), (0.4, 0.95), (-0.4, 0.95)), colour=2)
    sketch.stroke(polygon((-0.54, 0.68), (0.54, 0.68)), 0.07, colour=2)
    sketch.strokes([polygon((x, 0.95), (x, 1.02)) for x in (-0.3, 0.3)], 0.07, colour=2)


def coral(sketch: Sketch) -> None:
    """A fan of coral or an antler: thick round branches, hardly thinner at the tips."""
    tips = _grow(sketch, (0.0, 0.9), 0.5, sketch.rng.uniform(0.09, 0.13) / math.sqrt(sketch.level), 0.5, 0.86)
    for x, y in tips[:: max(1, len(tips) // 60)]:
        sketch.fill(ring((float(x), float(y)), 0.035, 0.035, 12), colour=1)


def _grow(
    sketch: Sketch, root: tuple[float, float], length: float, width: float, spread: float, taper: float
) -> Points:
    """Draw a branching plant generation by generation; returns the tips (N, 2)."""
    rng = sketch.rng
    start, heading = np.array([root]), np.array([-math.pi / 2 + rng.normal(0.0, 0.1)])
    lengths, widths = np.array([length]), np.array([width])
    for generation in range(_GENERATIONS[sketch.level - 1] + 1):
        bend = rng.normal(0.0, 0.22, len(start))
        direction = np.stack([np.cos(heading), np.sin(heading)], axis=1)
        veered = np.stack([np.cos(heading + bend), np.sin(heading + bend)], axis=1)
        middle = start + direction * lengths[:, None] * 0.5
        end = middle + veered * lengths[:, None] * 0.5
        for a, b, c, w in zip(start, middle, end, widths, strict=True):
            sketch.stroke(np.stack([a, b]), float(w))
            sketch.stroke(np.stack([b, c]), float(w) * 0.86)
        children = 2 + (rng.random(len(end)) < 0.35)
        side = np.concatenate([np.linspace(-1.0, 1.0, n) for n in children])
        start, heading = np.repeat(end, children, axis=0), np.repeat(heading + bend, children)
        heading = heading + spread * side * rng.uniform(0.7, 1.3, len(side)) + rng.normal(0.0, 0.12, len(side))
        # Gravitropism: twigs turn upwards a little, which keeps the crown a crown.
        heading = heading + 0.12 * np.cos(heading) * -1.0
        lengths = np.repeat(lengths, children) * taper * rng.uniform(0.75, 1.15, len(side))
        widths = np.repeat(widths, children) * (0.68 if generation else 0.75)
        if len(start) * sketch.pixel > 6.0:
            break
    return np.asarray(end)


def _leaves(sketch: Sketch, tips: Points, size: float) -> None:
    rng = sketch.rng
    for x, y in tips:
        centre = float(x + rng.normal(0.0, 0.3 * size)), float(y + rng.normal(0.0, 0.3 * size))
        sketch.fill(
            ring(centre, size * rng.uniform(0.7, 1.3), size * rng.uniform(0.5, 1.0), 10), colour=int(rng.choice([1, 3]))
        )
