"""Triton kernels of any pixel loss over side outputs that are upsampled on the way: no map of the target's size is
stored.

Forward, a program walks down some rows of one side output: what lies between two rows of logits is interpolated along
the row once, so each pixel costs one more interpolation, its label and the formula. Backward does the same and adds up
the gradients of all pixels between two rows, then along the row. Rows of logits between two programs get their gradient
from a third kernel, in a fixed order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from dislayers._runtime.launch import Blocks, BlockTable, blocks_for
from dislayers._runtime.layout import image_planes
from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.kernel import accuracy, constants, joined
from dislosses._pixel_loss.op import formula_in_triton
from dislosses.deep_supervision import reference
from dislosses.deep_supervision.backward import close_seams, gradients_of_cells
from dislosses.deep_supervision.forward import sums_of_rows
from dislosses.deep_supervision.reference import dtype_of_losses

# Pixels a program, and warps for each 1024 pixels of a row. Not tuned on a GPU yet.
BLOCKS: BlockTable = {
    "default": [(1 << 62, Blocks(16384, 4))],
    "cpu": [(1 << 62, Blocks(1 << 20, 4))],
}
_COLUMNS = 1024
_MOST_COLUMNS = 16384
_MOST_PIXELS = 1 << 29


class Cut(NamedTuple):
    """How the backward pass of a side output is cut into programs.

    Attributes:
        cells: rows of cells a program.
        parts: programs that share a row of cells, for cells of many rows.
        rows: rows of pixels a part has of a cell.
        programs: of a sample.
        tile: cells in a row, and pixels in the row of a cell: powers of two.
    """

    cells: int
    parts: int
    rows: int
    programs: int
    tile: tuple[int, int]

    @classmethod
    def of(cls, size: Sequence[int], full: Sequence[int], rows: int) -> Cut:
        """For a side output of a size, a target's size, and about so many rows a program."""
        most = triton.cdiv(full[0], size[0])
        cells, parts = max(1, rows // most), triton.cdiv(most, rows)
        tile = tile_of(size[1], full[1])
        return cls(cells, parts, triton.cdiv(most, parts), triton.cdiv(size[0], cells) * parts, tile)


def tile_of(width: int, full_width: int) -> tuple[int, int]:
    """Cells in a row, and pixels in the row of a cell, both rounded up to powers of two."""
    return triton.next_power_of_2(width), triton.next_power_of_2(triton.cdiv(full_width, width))


def fits(logits: Sequence[Tensor], target: Tensor) -> bool:
    """Whether the kernels can take these sizes: a row in one program, numbers of pixels in 32 bits."""
    height, width = target.shape[-2:]
    for side in logits:
        cells, span = tile_of(side.shape[-1], width)
        if cells * span > _MOST_COLUMNS or max(height * side.shape[-2], width * side.shape[-1]) > _MOST_PIXELS:
            return False
    return True


def _prepared(logits: Sequence[Tensor], target: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
    """Side outputs of one dtype and without gaps, and planes (B, H, W) of labels."""
    dtype = reduce(torch.promote_types, (side.dtype for side in logits))
    planes = image_planes(target)
    return tuple(side.to(dtype).contiguous() for side in logits), planes.view(
        torch.uint8
    ) if target.dtype == torch.bool else planes


def launch_forward(
    logits: Sequence[Tensor], target: Tensor, name: str, options: Sequence[float], ignore_label: float | None
) -> tuple[Tensor, Tensor]:
    """As :func:`dislosses.deep_supervision.reference.forward`."""
    if not fits(logits, target):
        return reference.forward(logits, target, name, options, ignore_label)
    sides, planes = _prepared(logits, target)
    formula, chosen = formula_in_triton(name), constants(Arguments(options, ignore_label))
    batch, height, width = planes.shape
    blocks = blocks_for(BLOCKS, target.device, len(sides) * planes.numel())
    columns = min(triton.next_power_of_2(width), _COLUMNS)
    rows, tiles = max(1, blocks.elements // columns), triton.cdiv(width, columns)
    programs = triton.cdiv(height, rows) * tiles
    sizes = (len(sides), batch, programs, formula.sums)
    partial = torch.empty(sizes, dtype=dtype_of_losses(logits), device=target.device)
    if batch:
        with torch.cuda.device_of(target):
            sums_of_rows[(programs, len(sides), batch)](
                sides,
                planes,
                partial,
                tuple(side.shape[-2] for side in sides),
                tuple(side.shape[-1] for side in sides),
                height,
                width,
                planes.stride(0),
                planes.stride(1),
                rows,
                tiles,
                TERMS=formula.terms,
                SUMS=formula.sums,
                OPTIONS=chosen["OPTIONS"],
                IGNORE_LABEL=ignore_label,
                COLUMNS=columns,
                ACCURACY=accuracy(partial),
                num_warps=blocks.warps,
                enable_fp_fusion=True,
            )
    return joined(formula, partial, height * width, chosen["OPTIONS"])


def launch_backward(
    gradient: Tensor,
    coefficients: Tensor,
    logits: Sequence[Tensor],
    target: Tensor,
    name: str,
    options: Sequence[float],
    ignore_label: float | None,
) -> list[Tensor]:
    """As :func:`dislosses.deep_supervision.reference.backward`."""
    if not fits(logits, target):
        return reference.backward(gradient, coefficients, logits, target, name, options, ignore_label)
    sides, planes = _prepared(logits, target)
    formula, chosen = formula_in_triton(name), constants(Arguments(options, ignore_label))
    batch, height, width = planes.shape
    blocks = blocks_for(BLOCKS, target.device, len(sides) * planes.numel())
    rows = max(1, blocks.elements // triton.next_power_of_2(width))
    cuts = [Cut.of(side.shape[-2:], (height, width), rows) for side in sides]
    results = tuple(torch.empty_like(side) for side in sides)
    programs = (0, *accumulate(cut.programs for cut in cuts))
    seams = (0, *accumulate(2 * cut.programs * side.shape[-1] for cut, side in zip(cuts, sides, strict=True)))
    seam = torch.empty((batch, seams[-1]), dtype=dtype_of_losses(logits), device=target.device)
    heights, widths = (tuple(side.shape[i] for side in sides) for i in (-2, -1))
    cells, parts = tuple(cut.cells for cut in cuts), tuple(cut.parts for cut in cuts)
    widest = max(cut.tile[0] * cut.tile[1] for cut in cuts)
    if batch:
        with torch.cuda.device_of(target):
            gradients_of_cells[(programs[-1], batch)](
                gradient,
                coefficients,
                sides,
                planes,
                results,
                seam,
                heights,
                widths,
                cells,
                parts,
                tuple(cut.rows for cut in cuts),
                programs,
                seams,
                height,
                width,
                gradient.stride(0),
                gradient.stride(1),
                planes.stride(0),
                planes.stride(1),
                seam.stride(0),
                SLOPE=formula.slope,
                COEFFICIENTS=formula.coefficients,
                OPTIONS=chosen["OPTIONS"],
                IGNORE_LABEL=ignore_label,
                TILES=tuple(cut.tile for cut in cuts),
                ACCURACY=accuracy(seam),
                num_warps=min(32, blocks.warps * triton.cdiv(widest, _COLUMNS)),
                enable_fp_fusion=True,
            )
            close_seams[(programs[-1], batch)](
                seam,
                results,
                heights,
                widths,
                cells,
                parts,
                programs,
                seams,
                seam.stride(0),
                BLOCK=_COLUMNS,
                ACCURACY=accuracy(seam),
                num_warps=4,
                enable_fp_fusion=True,
            )
    return [result.to(side.dtype) for result, side in zip(results, logits, strict=True)]
