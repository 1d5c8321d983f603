"""The sums of any formula over the pixels of upsampled side outputs, in Triton; needs Triton."""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers._runtime.groups import member, pointer
from dislosses.deep_supervision.resize import around, between_values, cell_of, first_pixel, labels, share


@triton.jit
def sums_of_rows(
    logits,
    target_ptr,
    partial_ptr,
    heights,
    widths,
    height,
    width,
    target_stride_b,
    target_stride_h,
    rows_of_band,
    bands_across,
    TERMS: tl.constexpr,
    SUMS: tl.constexpr,
    OPTIONS: tl.constexpr,
    IGNORE_LABEL: tl.constexpr,
    COLUMNS: tl.constexpr,
    ACCURACY: tl.constexpr,
):
    """What the pixels of a band of rows, no wider than COLUMNS, add to the sums of a side output and sample."""
    side, sample = tl.program_id(1), tl.program_id(2).to(tl.int64)
    h, w = member(heights, side), member(widths, side)
    logits_ptr, target_ptr = pointer(logits, side) + sample * h * w, target_ptr + sample * target_stride_b

    column = tl.program_id(0) % bands_across * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < width
    pixel = tl.minimum(column, width - 1)
    pixel = tl.where(pixel < first_pixel(0, w, width), pixel + width, pixel)
    left = cell_of(pixel, w, width)
    right, of_right = around(left + 1, w), share(pixel, left, w, width, ACCURACY)

    start = first_pixel(0, h, height) + tl.program_id(0) // bands_across * rows_of_band
    end = tl.minimum(start + rows_of_band, first_pixel(0, h, height) + height)
    first, last = cell_of(start, h, height), cell_of(end - 1, h, height)
    above = between_values(logits_ptr + first * w, left, right, of_right, ACCURACY)
    sums = ()
    for _ in tl.static_range(SUMS):
        sums = sums + (tl.zeros((COLUMNS,), ACCURACY),)  # type: ignore[assignment]  # noqa: RUF005
    for cell in range(first, last + 1):
        below = between_values(logits_ptr + around(cell + 1, h) * w, left, right, of_right, ACCURACY)
        step = below - above
        ends = tl.minimum(end, first_pixel(cell + 1, h, height))
        for row in range(tl.maximum(start, first_pixel(cell, h, height)), ends):
            prediction = above + share(row, cell, h, height, ACCURACY) * step
            target, counts = labels(
                target_ptr, around(row, height), target_stride_h, column, inside, IGNORE_LABEL, ACCURACY
            )
            terms = TERMS(prediction, target, OPTIONS, False)
            added = ()
            for i in tl.static_range(SUMS):
                term = terms[i] if IGNORE_LABEL is None else tl.where(counts, terms[i], 0)
                added = added + (sums[i] + term,)  # type: ignore[assignment]  # noqa: RUF005
            sums = added
        above = below
    place = ((side * tl.num_programs(2) + sample) * tl.num_programs(0) + tl.program_id(0)) * SUMS
    for i in tl.static_range(SUMS):
        tl.store(partial_ptr + place + i, tl.sum(tl.where(inside, sums[i], 0), axis=0))
