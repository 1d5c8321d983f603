"""How deep supervision is cut into programs of a GPU; pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

COLUMNS = 1024
"""Pixels of a row that a program has at most, if cells are not wider."""

_WIDEST_CELL = 2048
_MOST_PIXELS = 1 << 29


class Cut(NamedTuple):
    """How the backward pass of a side output is cut into programs.

    Attributes:
        cells: rows of cells a program.
        parts: programs that share a row of cells, for cells of many rows.
        rows: rows of pixels a part has of a cell.
        tiles: programs that share a row of pixels.
        tile: cells in a row of a program, and pixels in a row of a cell: powers of two.
        bands: programs on top of each other, the parts of a cell counted once.
    """

    cells: int
    parts: int
    rows: int
    tiles: int
    tile: tuple[int, int]
    bands: int

    @classmethod
    def of(cls, size: Sequence[int], full: Sequence[int], pixels: int) -> Cut:
        """For the size of a side output, that of the target, and about so many pixels a program."""
        (height, width), most = size, _whole(full[0], size[0])
        span = _power_of_two(_whole(full[1], width))
        across = min(_power_of_two(width), max(2, COLUMNS // span))
        tiles = 1 if width <= across else _whole(width, across - 1)
        rows = max(1, pixels // (across * span))
        cells, parts = max(1, rows // most), _whole(most, rows)
        bands = _whole(height, cells)
        return cls(cells, parts, _whole(most, parts), tiles, (across, span), bands)

    @property
    def programs(self) -> int:
        """Of a sample."""
        return self.bands * self.parts * self.tiles


def fits(logits: Sequence[Tensor], target: Tensor) -> bool:
    """Whether the kernels can take these sizes: numbers of pixels in 32 bits, a cell's row in one program."""
    full = target.shape[-2:]
    return all(
        _whole(full[1], side.shape[-1]) <= _WIDEST_CELL
        and all(a * b <= _MOST_PIXELS for a, b in zip(full, side.shape[-2:], strict=True))
        for side in logits
    )


def _whole(a: int, b: int) -> int:
    """``a / b`` rounded up."""
    return -(-a // b)


def _power_of_two(number: int) -> int:
    """The smallest power of two that is not less."""
    return 1 << (number - 1).bit_length()
