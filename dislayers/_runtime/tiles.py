"""Tiles of matrices in any layout, for Triton kernels; needs Triton.

A pointer is that of a tile's first element; rows and columns say how many are left from there to the matrix's end.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _place(row_stride, column_stride, HEIGHT: tl.constexpr, WIDTH: tl.constexpr):
    """Offsets of a tile's elements."""
    return tl.arange(0, HEIGHT)[:, None] * row_stride + tl.arange(0, WIDTH)[None, :] * column_stride


@triton.jit
def _within(rows, columns, HEIGHT: tl.constexpr, WIDTH: tl.constexpr):
    """Which of a tile's elements are there, for so many rows and columns that are left."""
    return (tl.arange(0, HEIGHT)[:, None] < rows) & (tl.arange(0, WIDTH)[None, :] < columns)


@triton.jit
def tile(pointer, row_stride, column_stride, rows, columns, HEIGHT: tl.constexpr, WIDTH: tl.constexpr):
    """A tile in float32, 0 where it ends."""
    inside = _within(rows, columns, HEIGHT, WIDTH)
    return tl.load(pointer + _place(row_stride, column_stride, HEIGHT, WIDTH), mask=inside, other=0).to(tl.float32)


@triton.jit
def put(pointer, value, row_stride, column_stride, rows, columns):
    """Store a tile as far as it goes."""
    inside = _within(rows, columns, value.shape[0], value.shape[1])
    tl.store(pointer + _place(row_stride, column_stride, value.shape[0], value.shape[1]), value, mask=inside)
