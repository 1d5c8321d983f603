"""How the kernels are cut into tiles, and their launch in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import triton
from torch import Tensor

from dislayers._runtime.launch import ENDLESS, Rows, blocks_for, launch_table
from dislayers.nmf.backward import through_bases, through_coefficients, toward_x
from dislayers.nmf.forward import sum_over_pixels, update_bases, update_coefficients


class Tile(NamedTuple):
    """Pixels and channels, 0 where a kernel has no tile of them; warps of a program."""

    pixels: int
    channels: int
    warps: int


def _tables(precision: str, tiles: Mapping[Any, tuple[int, int]]) -> dict[Any, dict[str, Rows[Tile]]]:
    """A launch table for each kernel."""
    return {
        kernel: launch_table("dislayers.nmf", f"{kernel.__name__} {precision}", default=[(ENDLESS, Tile(*tile, 8))])
        for kernel, tile in tiles.items()
    }


# By the precision of products, as large as registers allow. Not tuned on a GPU yet: `python -m dislayers.tune` does it.
TILES = {
    "tf32": _tables(
        "tf32",
        {
            update_coefficients: (64, 32),
            sum_over_pixels: (32, 64),
            update_bases: (0, 32),
            through_coefficients: (32, 32),
            through_bases: (0, 32),
            toward_x: (64, 64),
        },
    ),
    "tf32x3": _tables(
        "tf32x3",
        {
            update_coefficients: (32, 32),
            sum_over_pixels: (32, 64),
            update_bases: (0, 32),
            through_coefficients: (32, 16),
            through_bases: (0, 16),
            toward_x: (32, 32),
        },
    ),
}


def constants(kernel: Any, tile: Tile, rank: int, precision: str) -> dict[str, Any]:
    """What a kernel is compiled for."""
    chosen = {"RANK": rank, "HEIGHT": tile.pixels, "WIDTH": tile.channels, "PRECISION": precision}
    return {name: value for name, value in chosen.items() if name in kernel.arg_names}


def launch(
    kernel: Any, x: Tensor, grid: tuple[int, ...], rank: int, precision: str, *arguments: Any, **flags: bool
) -> None:
    """Start a kernel in the tiles that x has, with the flags that are constants of its own."""
    tile = tile_of(kernel, x, precision)
    chosen = constants(kernel, tile, rank, precision)
    kernel[grid](*arguments, **chosen, **flags, num_warps=tile.warps, enable_fp_fusion=True)


def tile_of(kernel: Any, x: Tensor, precision: str) -> Tile:
    """The row of a kernel's table, by the elements of x."""
    return blocks_for(TILES[precision][kernel], x.device, x.numel())


def blocks(kernel: Any, x: Tensor, precision: str) -> tuple[int, int]:
    """How many tiles of pixels and of channels there are."""
    tile = tile_of(kernel, x, precision)
    return triton.cdiv(x.shape[2], tile.pixels or 1), triton.cdiv(x.shape[1], tile.channels)
