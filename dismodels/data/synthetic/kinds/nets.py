"""Meshes: nets, rackets, baskets, webs."""

import math

import numpy as np

from dismodels.data.synthetic.curves import TURN, Points, arc, line, polygon, ring
from dismodels.data.synthetic.sketch import Sketch


def net(sketch: Sketch) -> None:
    """A net that hangs and swings between corner ropes, of square or diamond meshes."""
    rng = sketch.rng
    number = sketch.count((4, 7, 10, 24), 2.0)
    s = np.linspace(-0.9, 0.9, number + 1)
    t = np.linspace(-0.9, 0.9, 25)
    across = [np.stack([t, np.full_like(t, v)], axis=1) for v in s]
    down = [np.stack([np.full_like(t, v), t], axis=1) for v in s]
    wave = rng.normal(0.0, 0.09, (2, 2)), rng.uniform(1.5, 4.0, (2, 2)), rng.uniform(0.0, TURN, (2, 2))
    width = rng.uniform(0.26, 0.42) / (number + 1)
    for i, (row, column) in enumerate(zip(across, down, strict=True)):
        border = i in (0, number)
        sketch.stroke(_swung(row, *wave), width * (2.5 if border else 1.0), colour=int(border))
        sketch.stroke(_swung(column, *wave), width * (2.5 if border else 1.0), colour=int(border))


def racket(sketch: Sketch) -> None:
    """A racket: oval frame, strings, throat and handle."""
    rng = sketch.rng
    number = sketch.count((5, 7, 11, 24), 1.2)
    half_x, half_y, centre = rng.uniform(0.42, 0.52), rng.uniform(0.52, 0.62), -0.42
    u = np.linspace(-1.0, 1.0, number + 2)[1:-1]
    chord = np.sqrt(1.0 - u**2)
    string = min(0.03, 0.25 / number)
    for a, c in zip(u, chord, strict=True):
        sketch.stroke(line((a * half_x, centre - c * half_y), (a * half_x, centre + c * half_y)), string, 1)
        sketch.stroke(line((-c * half_x, centre + a * half_y), (c * half_x, centre + a * half_y)), string, 1)
    sketch.stroke(ring((0.0, centre), half_x, half_y, 64), rng.uniform(0.06, 0.1), closed=True)
    for side in (-1.0, 1.0):
        sketch.stroke(polygon((side * half_x * 0.62, centre + half_y * 0.8), (0.0, 0.5)), 0.06)
    sketch.stroke(line((0.0, 0.5), (0.0, 1.0)), rng.uniform(0.1, 0.14), colour=2)


def basket(sketch: Sketch) -> None:
    """A wire basket with a handle: a flaring mesh between two hoops."""
    rng = sketch.rng
    bars, hoops = sketch.count((7, 9, 14, 32), 1.6), sketch.count((3, 3, 5, 13), 0.8)
    flare = rng.uniform(0.55, 0.8)
    dip = rng.uniform(0.06, 0.14)
    u = np.linspace(-1.0, 1.0, bars)
    # Equal angles on the hoop crowd towards its sides.
    u = np.sin(u * math.pi / 2)
    width = min(0.06, 0.42 / bars)
    bend = dip * np.sqrt(np.maximum(0.0, 1.0 - u**2))
    for a, d in zip(u, bend, strict=True):
        sketch.stroke(line((a * 0.9, -0.15 + d), (a * 0.9 * flare, 0.8 + d)), width)
    for v in np.linspace(0.0, 1.0, hoops):
        half = 0.9 * (1.0 + (flare - 1.0) * v)
        sketch.stroke(arc((0.0, -0.15 + 0.95 * v), half, dip, 0.0, math.pi, 40), width * (1.0 if 0 < v < 1 else 2.0), 1)
    sketch.stroke(ring((0.0, -0.15), 0.9, dip, 48), 0.05, colour=1, closed=True)
    sketch.stroke(arc((0.0, -0.15), 0.8, rng.uniform(0.5, 0.8), math.pi, TURN), rng.uniform(0.04, 0.07), colour=2)


def web(sketch: Sketch) -> None:
    """A spider's web or a dream catcher: rays and rounds inside a hoop."""
    rng = sketch.rng
    rays, rounds = sketch.count((7, 7, 11, 24), 4.0), sketch.count((2, 3, 6, 15), 0.9)
    angle = np.sort(TURN * (np.arange(rays) + rng.uniform(-0.25, 0.25, rays)) / rays)
    width = min(0.05, 0.36 / rays)
    directions = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    sketch.strokes([np.stack([np.zeros(2), d * 0.9]) for d in directions], width)
    for v in np.linspace(0.12, 0.82, rounds):
        corners = directions * (v + rng.normal(0.0, 0.008, rays))[:, None]
        middles = (corners + np.roll(corners, -1, axis=0)) / 2 * 0.93
        sketch.stroke(np.stack([corners, middles], axis=1).reshape(-1, 2), width * 0.8, closed=True)
    sketch.stroke(ring((0.0, 0.0), 0.9, 0.9, 64), rng.uniform(0.04, 0.09), colour=1, closed=True)
    for x in (-0.45, 0.0, 0.45)[: rng.integers(0, 4)]:
        y = math.sqrt(0.81 - x**2)
        sketch.stroke(line((x, y), (x, y + 0.25)), 0.03, colour=2)
        sketch.fill(ring((x, y + 0.38), 0.06, 0.15, 20), colour=3)


def _swung(points: Points, amplitude: Points, frequency: Points, phase: Points) -> Points:
    """The points displaced by a sum of sines in both coordinates."""
    x, y = points[:, 0], points[:, 1]
    shift = [
        amplitude[i, 0] * np.sin(frequency[i, 0] * x + phase[i, 0])
        + amplitude[i, 1] * np.sin(frequency[i, 1] * y + phase[i, 1])
        for i in range(2)
    ]
    return np.asarray(points + np.stack(shift, axis=1))
