"""How the kernels are cut into tiles, and their launch in them."""

from __future__ import annotations

from typing import Any

import triton
from torch import Tensor

from dislayers.nmf.backward import through_bases, through_coefficients, toward_x
from dislayers.nmf.forward import sum_over_pixels, update_bases, update_coefficients

# Pixels and channels of a tile by the precision of products: as large as registers allow, not tuned on a GPU yet.
TILES = {
    "tf32": {
        update_coefficients: (64, 32),
        sum_over_pixels: (32, 64),
        update_bases: (0, 32),
        through_coefficients: (32, 32),
        through_bases: (0, 32),
        toward_x: (64, 64),
    },
    "tf32x3": {
        update_coefficients: (32, 32),
        sum_over_pixels: (32, 64),
        update_bases: (0, 32),
        through_coefficients: (32, 16),
        through_bases: (0, 16),
        toward_x: (32, 32),
    },
}
WARPS = 8


def constants(kernel: Any, rank: int, precision: str) -> dict[str, Any]:
    """What a kernel is compiled for."""
    height, width = TILES[precision][kernel]
    chosen = {"RANK": rank, "HEIGHT": height, "WIDTH": width, "PRECISION": precision}
    return {name: value for name, value in chosen.items() if name in kernel.arg_names}


def launch(kernel: Any, grid: tuple[int, ...], rank: int, precision: str, *arguments: Any, **flags: bool) -> None:
    """Start a kernel, with the flags that are constants of its own."""
    chosen = constants(kernel, rank, precision)
    kernel[grid](*arguments, **chosen, **flags, num_warps=WARPS, enable_fp_fusion=True)


def blocks(kernel: Any, x: Tensor, precision: str) -> tuple[int, int]:
    """How many tiles of pixels and of channels there are."""
    height, width = TILES[precision][kernel]
    return triton.cdiv(x.shape[2], height or 1), triton.cdiv(x.shape[1], width)
