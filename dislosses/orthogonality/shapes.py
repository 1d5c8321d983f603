"""What follows from the shapes of the weights, worked out once for each set of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import accumulate
from math import ceil, prod
from typing import NamedTuple

import torch

from dislayers._runtime.launch import ENDLESS, launch_table
from dislosses.orthogonality import reference


class Tile(NamedTuple):
    """That of a program, how deep it goes at a time, and its warps."""

    height: int
    width: int
    depth: int
    warps: int


# Not tuned on a GPU yet: `python -m dislayers.tune` fills it.
TILES = launch_table("dislosses.orthogonality", "tiles", default=[(ENDLESS, Tile(128, 64, 32, 8))])


class Shapes(NamedTuple):
    """What follows from the shapes of all weights.

    Args:
        columns: of the table, one after the other.
        tiles: of all weights.
        signs: how many there are, with the gaps.
    """

    columns: tuple[int, ...]
    tiles: int
    signs: int


@cache
def forward_shapes(shapes: tuple[torch.Size, ...], tile: Tile) -> Shapes:
    """With the tiles of ``W W^T`` that have an element on the diagonal or right of it."""
    height, width, *_ = tile
    return _shapes(shapes, lambda rows, _: sum(ceil((rows - row) / width) for row in range(0, rows, height)))


@cache
def backward_shapes(shapes: tuple[torch.Size, ...], tile: Tile) -> Shapes:
    """With the tiles of W."""
    height, width, *_ = tile
    return _shapes(shapes, lambda rows, columns: ceil(rows / height) * ceil(columns / width))


def _shapes(shapes: tuple[torch.Size, ...], tiles_of: Callable[[int, int], int]) -> Shapes:
    rows, columns = [shape[0] for shape in shapes], [prod(shape[1:]) for shape in shapes]
    *first_tiles, tiles = accumulate(map(tiles_of, rows, columns), initial=0)
    *first_signs, signs = reference.sign_starts(rows)
    return Shapes((*rows, *columns, *first_tiles, *first_signs), tiles, signs)
