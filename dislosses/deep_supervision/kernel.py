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
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from dislayers._runtime.launch import ENDLESS, AheadOfTime, Blocks, blocks_for, launch_table
from dislayers._runtime.layout import bool_as_uint8, image_planes
from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.kernel import accuracy, constants, formula_of, joined
from dislosses.deep_supervision import reference
from dislosses.deep_supervision.backward import close_seams, gradients_of_cells
from dislosses.deep_supervision.cut import COLUMNS, Cut, fits
from dislosses.deep_supervision.forward import sums_of_rows
from dislosses.precision import dtype_of_losses

# Pixels a program, and warps for each 1024 pixels of a row. Not tuned on a GPU yet.
BLOCKS = launch_table(
    "dislosses.deep_supervision",
    "blocks",
    default=[(ENDLESS, Blocks(16384, 8))],
    cpu=[(ENDLESS, Blocks(1 << 20, 8))],
)


def _prepared(logits: Sequence[Tensor], target: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
    """Side outputs of one dtype and without gaps, and planes (B, H, W) of labels."""
    dtype = reduce(torch.promote_types, (side.dtype for side in logits))
    return tuple(side.to(dtype).contiguous() for side in logits), image_planes(bool_as_uint8(target))


def launch_forward(
    logits: Sequence[Tensor], target: Tensor, name: str, options: Sequence[float], ignore_label: float | None
) -> tuple[Tensor, Tensor]:
    """As :func:`dislosses.deep_supervision.reference.forward`."""
    if not fits(logits, target):
        return reference.forward(logits, target, name, options, ignore_label)
    sides, planes = _prepared(logits, target)
    formula, chosen = formula_of(name), constants(Arguments(options, ignore_label))
    batch, height, width = planes.shape
    blocks = blocks_for(BLOCKS, target.device, len(sides) * planes.numel())
    columns = min(triton.next_power_of_2(width), COLUMNS)
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
    formula, chosen = formula_of(name), constants(Arguments(options, ignore_label))
    batch, height, width = planes.shape
    blocks = blocks_for(BLOCKS, target.device, len(sides) * planes.numel())
    cuts = [Cut.of(side.shape[-2:], (height, width), blocks.elements) for side in sides]
    results = tuple(torch.empty_like(side) for side in sides)
    heights, widths = (tuple(side.shape[i] for side in sides) for i in (-2, -1))
    cells, parts, rows, tiles, shapes, bands = zip(*cuts, strict=True)
    programs = (0, *accumulate(cut.programs for cut in cuts))
    sizes = (2 * cut.bands * cut.parts * w for cut, w in zip(cuts, widths, strict=True))
    seams = (0, *accumulate(sizes))
    seam = torch.empty((batch, seams[-1]), dtype=dtype_of_losses(logits), device=target.device)
    if batch:
        with torch.cuda.device_of(target):
            gradients_of_cells[(programs[-1], batch)](
                gradient,
                coefficients.contiguous(),
                sides,
                planes,
                results,
                seam,
                heights,
                widths,
                cells,
                parts,
                rows,
                tiles,
                programs,
                seams[:-1],
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
                TILES=shapes,
                ACCURACY=accuracy(seam),
                num_warps=min(32, blocks.warps * triton.cdiv(max(a * b for a, b in shapes), COLUMNS)),
                enable_fp_fusion=True,
            )
            close_seams[(max(bands), len(sides), batch)](
                seam,
                results,
                heights,
                widths,
                cells,
                parts,
                seams[:-1],
                seam.stride(0),
                BLOCK=COLUMNS,
                ACCURACY=accuracy(seam),
                num_warps=4,
                enable_fp_fusion=True,
            )
    return [result.to(side.dtype) for result, side in zip(results, logits, strict=True)]


def _variant(kernel: Any, logits: str, target: str, warps: int) -> AheadOfTime:
    """IS-Net's six side outputs under binary cross entropy."""
    formula, tiles = formula_of("bce"), tuple((512 >> i, 2 << i) for i in range(6))
    known = constants(Arguments()) | {"ACCURACY": tl.float32, "TERMS": formula.terms, "SLOPE": formula.slope}
    known |= {"SUMS": 1, "COEFFICIENTS": 1, "TILES": tiles, "COLUMNS": COLUMNS, "BLOCK": COLUMNS}
    numbers = ("heights", "widths", "seams", *Cut._fields)
    types: dict[str, str | tuple[str, ...]] = dict.fromkeys(numbers, ("i32",) * len(tiles))
    types |= dict.fromkeys(("logits", "results"), (f"*{logits}",) * len(tiles))
    types |= {"programs": ("i32",) * (len(tiles) + 1), "target_ptr": f"*{target}"}
    aligned = ("_ptr", "logits", "results", "width", "target_stride_b", "target_stride_h")
    title = f"deep_supervision {kernel.__name__} {logits} {target}"
    return AheadOfTime.of(title, kernel, known, types, warps, aligned=aligned)


_WARPS = BLOCKS["default"][-1][1].warps
AHEAD_OF_TIME = [
    _variant(sums_of_rows, "fp32", "fp32", _WARPS),
    _variant(sums_of_rows, "bf16", "u8", _WARPS),
    _variant(gradients_of_cells, "fp32", "fp32", _WARPS),
    _variant(gradients_of_cells, "bf16", "u8", _WARPS),
    _variant(close_seams, "bf16", "fp32", 4),
]
