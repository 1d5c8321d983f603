"""The gradient of side outputs that are upsampled under any formula, in Triton; needs Triton."""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers._runtime.groups import member, pointer
from dislosses.deep_supervision.resize import around, between_values, first_pixel, labels, share


@triton.jit
def _along_row(gradient, inside, of_second, w, CELLS: tl.constexpr):
    """The gradient of each cell's first value, from those of the pixels of its cell and of the cell before."""
    gradient = tl.where(inside, gradient, 0)
    first, second = tl.sum(gradient * (1 - of_second), axis=1), tl.sum(gradient * of_second, axis=1)
    cell = tl.arange(0, CELLS)
    return first + tl.gather(second, tl.where(cell > 0, cell, tl.minimum(w, CELLS)) - 1, 0)


@triton.jit
def _backward_of_side(
    program,
    sample,
    logits_ptr,
    target_ptr,
    result_ptr,
    seam_ptr,
    coefficients,
    h,
    w,
    height,
    width,
    target_stride_h,
    cells,
    parts,
    rows,
    tiles,
    SLOPE: tl.constexpr,
    OPTIONS: tl.constexpr,
    IGNORE_LABEL: tl.constexpr,
    CELLS: tl.constexpr,
    SPAN: tl.constexpr,
    ACCURACY: tl.constexpr,
):
    """The gradient of the logits from this program's pixels; the first and the last row go to the seam."""
    # Of several tiles each begins with the last cell of the tile before it, whose gradient is not complete.
    halo = tl.where(tiles > 1, 1, 0)
    left = program % tiles * (CELLS - halo) - halo + tl.arange(0, CELLS)
    left = tl.where(left < 0, w - 1, left)
    right = around(left + 1, w)
    pixel = first_pixel(left, w, width)[:, None] + tl.arange(0, SPAN)[None, :]
    inside = (pixel < first_pixel(left + 1, w, width)[:, None]) & (left < w)[:, None]
    of_right = share(pixel, left[:, None], w, width, ACCURACY)
    # Pixels and cells beyond the last are computed as the first, and left out along the row.
    column, first = tl.where(inside, around(pixel, width), 0), tl.where(inside, left[:, None], 0)
    second = tl.where(inside, right[:, None], 0)
    complete = (left < w) & (tl.arange(0, CELLS) >= halo)

    program = program // tiles
    seam_ptr += program * 2 * w
    start, part = program // parts * cells, program % parts
    above = between_values(logits_ptr + start * w, first, second, of_right, ACCURACY)
    upper = tl.zeros((CELLS, SPAN), ACCURACY)
    for cell in range(start, tl.minimum(start + cells, h)):
        below_ptr = logits_ptr + around(cell + 1, h) * w
        below = between_values(below_ptr, first, second, of_right, ACCURACY)
        step, lower = below - above, tl.zeros((CELLS, SPAN), ACCURACY)
        top = first_pixel(cell, h, height) + part * rows
        for row in range(top, tl.minimum(top + rows, first_pixel(cell + 1, h, height))):
            of_below = share(row, cell, h, height, ACCURACY)
            target, counts = labels(
                target_ptr, around(row, height), target_stride_h, column, None, IGNORE_LABEL, ACCURACY
            )
            slope = SLOPE(above + of_below * step, target, coefficients, OPTIONS, False)
            if IGNORE_LABEL is not None:
                slope = tl.where(counts, slope, 0)
            upper += (1 - of_below) * slope
            lower += of_below * slope
        values = _along_row(upper, inside, of_right, w, CELLS)
        if cell == start:
            tl.store(seam_ptr + left, values, mask=complete)
        else:
            tl.store(result_ptr + cell * w + left, values.to(result_ptr.dtype.element_ty), mask=complete)
        above, upper = below, lower
    tl.store(seam_ptr + w + left, _along_row(upper, inside, of_right, w, CELLS), mask=complete)


@triton.jit
def gradients_of_cells(
    gradient_ptr,
    coefficients_ptr,
    logits,
    target_ptr,
    results,
    seam_ptr,
    heights,
    widths,
    cells,
    parts,
    rows,
    tiles,
    programs,
    seams,
    height,
    width,
    gradient_stride_d,
    gradient_stride_b,
    target_stride_b,
    target_stride_h,
    seam_stride_b,
    SLOPE: tl.constexpr,
    COEFFICIENTS: tl.constexpr,
    OPTIONS: tl.constexpr,
    IGNORE_LABEL: tl.constexpr,
    TILES: tl.constexpr,
    ACCURACY: tl.constexpr,
):
    """The gradient of all side outputs of a sample; each side has its programs and its tile."""
    program, sample = tl.program_id(0), tl.program_id(1).to(tl.int64)
    for d in tl.static_range(len(TILES)):
        if (program >= programs[d]) & (program < programs[d + 1]):
            local, size = program - programs[d], sample * heights[d] * widths[d]
            gradient = tl.load(gradient_ptr + d * gradient_stride_d + sample * gradient_stride_b).to(ACCURACY)
            coefficients_ptr += (d * tl.num_programs(1) + sample) * COEFFICIENTS
            coefficients = ()
            for i in tl.static_range(COEFFICIENTS):
                coefficients = coefficients + (tl.load(coefficients_ptr + i) * gradient,)  # type: ignore[assignment]  # noqa: RUF005
            _backward_of_side(
                local,
                sample,
                logits[d] + size,
                target_ptr + sample * target_stride_b,
                results[d] + size,
                seam_ptr + sample * seam_stride_b + seams[d],
                coefficients,
                heights[d],
                widths[d],
                height,
                width,
                target_stride_h,
                cells[d],
                parts[d],
                rows[d],
                tiles[d],
                SLOPE,
                OPTIONS,
                IGNORE_LABEL,
                TILES[d][0],
                TILES[d][1],
                ACCURACY,
            )


@triton.jit
def close_seams(
    seam_ptr,
    results,
    heights,
    widths,
    cells,
    parts,
    seams,
    seam_stride_b,
    BLOCK: tl.constexpr,
    ACCURACY: tl.constexpr,
):
    """The rows of logits that lie between programs: the sum of what these have found, in a fixed order."""
    band, side, sample = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    h, w, step, count = member(heights, side), member(widths, side), member(cells, side), member(parts, side)
    if band * step < h:
        before = tl.where(band > 0, band, (h + step - 1) // step) - 1
        seam_ptr += sample * seam_stride_b + member(seams, side)
        result_ptr = pointer(results, side) + (sample * h + band * step) * w
        for start in range(0, w, BLOCK):
            column = start + tl.arange(0, BLOCK)
            total = tl.zeros((BLOCK,), ACCURACY)
            for part in range(count):
                total += tl.load(seam_ptr + (band * count + part) * 2 * w + column, mask=column < w, other=0)
                total += tl.load(seam_ptr + ((before * count + part) * 2 + 1) * w + column, mask=column < w, other=0)
            tl.store(result_ptr + column, total.to(result_ptr.dtype.element_ty), mask=column < w)
