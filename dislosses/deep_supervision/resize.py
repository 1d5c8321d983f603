"""Bilinear upsampling in cells, in Triton; needs Triton.

Cell j of ``size`` values that become ``full`` pixels holds the pixels whose source coordinate,
``(pixel + 1 / 2) size / full - 1 / 2``, lies in [j, j + 1): between values j and j + 1. The pixels before the first
value are numbered on from ``full`` and end the last cell, whose values are the last and the first. So there are as many
cells as values, and each pixel is in one of them. Cells and shares come from integers, so they are exact.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def first_pixel(cell, size, full):
    """The first pixel of a cell."""
    return ((2 * cell + 1) * full + size - 1) // (2 * size)


@triton.jit
def cell_of(pixel, size, full):
    """The cell of a pixel."""
    return ((2 * pixel + 1) * size - full) // (2 * full)


@triton.jit
def around(number, size):
    """A number of at most twice the size, counted on from 0 where the size ends."""
    return tl.where(number < size, number, number - size)


@triton.jit
def share(pixel, cell, size, full, ACCURACY: tl.constexpr):
    """The share of the cell's second value in a pixel; its first has the rest."""
    between = ((2 * pixel + 1) * size - (2 * cell + 1) * full).to(ACCURACY) * (0.5 / tl.cast(full, ACCURACY))
    first_or_last = tl.where(pixel < full, 0.0, 1.0).to(ACCURACY)
    return tl.where(cell < size - 1, between, first_or_last)


@triton.jit
def between_values(row_ptr, first, second, of_second, ACCURACY: tl.constexpr):
    """Pixels between the first and second values of a row."""
    a = tl.load(row_ptr + first).to(ACCURACY)
    b = tl.load(row_ptr + second).to(ACCURACY)
    return a + of_second * (b - a)


@triton.jit
def labels(target_ptr, row, stride, column, inside, IGNORE_LABEL: tl.constexpr, ACCURACY: tl.constexpr):
    """The labels of a row, and whether each counts."""
    target = tl.load(target_ptr + row.to(tl.int64) * stride + column, mask=inside).to(ACCURACY)
    if IGNORE_LABEL is None:
        return target, True
    else:
        counts = target != IGNORE_LABEL
        return tl.where(counts, target, 0), counts
