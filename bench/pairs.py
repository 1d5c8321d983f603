"""Pairs of images to measure: a fat and a thin truth of any size, with a prediction that errs as networks do.

All is drawn from fixed seeds. `BENCH_PAIRS`, a folder with a file of every name in its folders ``pred`` and ``gt``,
adds real pairs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.uint8]
Random = np.random.Generator

# The middle one first: it is near what DIS5K's pictures have.
SIZES = [(2500, 3100), (1024, 1024), (4096, 3072)]
# Side of the map that networks predict, in pixels.
NETWORK = 1024


class GreyPair(NamedTuple):
    """Prediction and truth, uint8 (H, W)."""

    pred: Grey
    gt: Grey


def fat(random: Random, height: int, width: int) -> Grey:
    """A body of a few ellipses with a hole."""
    picture = np.zeros((height, width), np.uint8)
    for i in range(7):
        centre = (random.uniform(0.3, 0.7, 2) * (width, height)).astype(int).tolist()
        axes = (random.uniform(0.06, 0.25, 2) * min(height, width) / (1 + i // 6)).astype(int).tolist()
        cv2.ellipse(picture, centre, axes, random.uniform(0, 180), 0, 360, 255 * (i < 6), -1)
    return picture


def thin(random: Random, height: int, width: int) -> Grey:
    """A tree before a wire fence: limbs down to 3 pixels, and a thousand holes."""
    picture = np.zeros((height, width), np.uint8)
    unit = min(height, width) / 100
    for offset in range(-height, width, int(6 * unit)):
        for top, bottom in ((offset, offset + height), (offset + height, offset)):
            cv2.line(picture, (top, height // 2), (bottom, height), 255, int(unit / 3))
    limbs = [(width / 2, height * 0.98, -math.pi / 2, 20 * unit, 5 * unit)]
    while limbs:
        x, y, angle, length, thickness = limbs.pop()
        end = x + length * math.cos(angle), y + length * math.sin(angle)
        cv2.line(picture, (int(x), int(y)), (int(end[0]), int(end[1])), 255, max(int(thickness), 3))
        if length > 2.5 * unit:
            for turn in random.normal(0, 0.55, 3 if length > 6 * unit else 2):
                limbs.append((*end, angle + turn, length * random.uniform(0.6, 0.85), thickness * 0.62))
    return picture


def predicted(random: Random, gt: Grey) -> Grey:
    """The truth as a network sees it, small and soft; a little displaced, with parts missed and others made up."""
    height, width = gt.shape
    small = cv2.resize(gt, (NETWORK, NETWORK), interpolation=cv2.INTER_AREA).astype(np.float32)
    row, column = np.indices(small.shape, np.float32)
    along, down = (cv2.resize(random.normal(0, 1.5, (8, 8)), small.shape).astype(np.float32) for _ in range(2))
    small = cv2.remap(small, column + along, row + down, cv2.INTER_LINEAR)
    for value in np.repeat([0, 255], 20).tolist():
        centre, axes = random.integers(0, NETWORK, 2).tolist(), random.integers(4, 60, 2).tolist()
        cv2.ellipse(small, centre, axes, random.uniform(0, 180), 0, 360, value, -1)
    soft = cv2.GaussianBlur(small, (0, 0), 1.5)
    return cv2.resize(soft.clip(0, 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)


KINDS: dict[str, Callable[[Random, int, int], Grey]] = {"fat": fat, "thin": thin}


@cache
def drawn(kind: str, height: int, width: int) -> GreyPair:
    """A pair of a kind."""
    random = np.random.default_rng(0)
    gt = KINDS[kind](random, height, width)
    return GreyPair(predicted(random, gt), gt)


def real(folder: Path, name: str) -> GreyPair:
    """A pair of files."""
    return GreyPair(*(np.asarray(Image.open(folder / side / name).convert("L")) for side in GreyPair._fields))


def all_pairs() -> dict[str, Callable[[], GreyPair]]:
    """Every pair to measure by its name."""
    pairs = {f"{h}x{w} {kind}": partial(drawn, kind, h, w) for h, w in SIZES for kind in KINDS}
    if folder := os.environ.get("BENCH_PAIRS"):
        pairs |= {path.name: partial(real, Path(folder), path.name) for path in sorted(Path(folder, "gt").iterdir())}
    return pairs
