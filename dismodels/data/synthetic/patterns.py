"""Grey patterns in [0, 1], float32 (H, W): the stuff that backgrounds and materials are made of."""

import math

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.float32]


def clouds(rng: np.random.Generator, height: int, width: int, cells: float = 4.0, octaves: int = 4) -> Grey:
    """Value noise: the sum of `octaves` grids of random values, each twice as fine and 0.55 times as strong.

    Args:
        rng: source of the grids.
        height: rows.
        width: columns.
        cells: cells of the coarsest grid along the shorter side.
        octaves: number of grids.
    """
    total = np.zeros((height, width), np.float32)
    weight = 1.0
    for _ in range(octaves):
        pitch = min(height, width) / cells
        grid = rng.random((math.ceil(height / pitch) + 2, math.ceil(width / pitch) + 2), dtype=np.float32)
        total += np.float32(weight) * _enlarged(grid, height, width)
        weight *= 0.55
        cells *= 2.0
    return stretched(total)


def ramp(rng: np.random.Generator, height: int, width: int) -> Grey:
    """A linear gradient in a random direction."""
    angle = rng.uniform(0.0, 2.0 * math.pi)
    x = np.linspace(-1.0, 1.0, width, dtype=np.float32)
    y = np.linspace(-1.0, 1.0, height, dtype=np.float32)
    return stretched(np.float32(math.cos(angle)) * x[None] + np.float32(math.sin(angle)) * y[:, None])


def stripes(rng: np.random.Generator, height: int, width: int, count: float) -> Grey:
    """Stripes of random greys across a random direction, `count` along the picture, bent a little by noise."""
    position = ramp(rng, height, width) + np.float32(0.03) * clouds(rng, height, width, 2.0, 2)
    greys = rng.random(math.ceil(count * 1.1) + 2, dtype=np.float32)
    return greys[(position * np.float32(count)).astype(np.int32)]


def streaks(rng: np.random.Generator, height: int, width: int) -> Grey:
    """Fine noise drawn out along one axis: wood, brushed metal."""
    grid = rng.random((48, 5), dtype=np.float32)
    if rng.random() < 0.5:
        grid = grid.T
    return stretched(_enlarged(grid, height, width))


def tiles(rng: np.random.Generator, height: int, width: int) -> Grey:
    """Bricks, planks or tiles of random greys between joints."""
    rows, columns = int(rng.integers(4, 14)), int(rng.integers(2, 8))
    shifted = rng.uniform(0.0, 0.5)
    y = np.linspace(0.0, rows, height, endpoint=False)
    row = y.astype(np.int32)
    x = np.linspace(0.0, columns, width, endpoint=False)[None] + shifted * (row % 2)[:, None]
    column = x.astype(np.int32)
    grey = rng.uniform(0.35, 1.0, (rows, columns + 1)).astype(np.float32)[row[:, None], column]
    joint = 0.05 * columns / rows
    return np.where((x - column < joint) | ((y - row)[:, None] < 0.06), np.float32(0.0), grey)


def checks(rng: np.random.Generator, height: int, width: int) -> Grey:
    """A woven check: two families of bands laid over each other."""
    count = int(rng.integers(6, 18))
    y = np.arange(height) * count // height % 2
    x = np.arange(width) * count // width % 2
    return (0.5 * (x[None] + y[:, None])).astype(np.float32)


def stretched(grey: Grey) -> Grey:
    """The pattern stretched to [0, 1]; a constant one becomes 0."""
    low, high = float(grey.min()), float(grey.max())
    return np.asarray((grey - np.float32(low)) * np.float32(1.0 / max(high - low, 1e-6)), dtype=np.float32)


def _enlarged(grid: Grey, height: int, width: int) -> Grey:
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
