"""Upsampling beside a skip connection, over tiles of rows, columns and channels, in Triton; needs Triton.

Pixel ``x`` of ``full`` has its place ``(x + 1 / 2) low / full - 1 / 2`` among ``low`` pixels, but none before the first
or behind the last. Low pixel ``j`` has the share ``1 - |place - j|`` of it where that is above 0, at the borders too.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def place_of(pixel, low, full, ACCURACY: tl.constexpr):
    """Where a pixel lies among the low ones."""
    scale = tl.cast(low, ACCURACY) / tl.cast(full, ACCURACY)
    place = (pixel.to(ACCURACY) + 0.5) * scale - 0.5
    return tl.minimum(tl.maximum(place, 0), tl.cast(low - 1, ACCURACY))


@triton.jit
def tile_of(width, height, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """This program's sample, block of channels, rows and columns; those of each pixel of the tile."""
    program = tl.program_id(0)
    across, down = tl.cdiv(width, COLUMNS), tl.cdiv(height, ROWS)
    pixel = tl.arange(0, ROWS * COLUMNS)
    row = program // across % down * ROWS + pixel // COLUMNS
    column = program % across * COLUMNS + pixel % COLUMNS
    return tl.program_id(1).to(tl.int64), program // (across * down), row, column


@triton.jit
def _between_pixels(
    x_ptr,
    row,
    column,
    own,
    stride_h,
    stride_w,
    low_height,
    low_width,
    height,
    width,
    ACCURACY: tl.constexpr,
):
    """Pixels of the result, of the channels to which x_ptr points and which are x's own."""
    y, x = place_of(row, low_height, height, ACCURACY), place_of(column, low_width, width, ACCURACY)
    top, left = y.to(tl.int32), x.to(tl.int32)
    of_below, of_right = (y - top.to(ACCURACY))[:, None], (x - left.to(ACCURACY))[:, None]
    above, below = top * stride_h, tl.minimum(top + 1, low_height - 1) * stride_h
    before, behind = left * stride_w, tl.minimum(left + 1, low_width - 1) * stride_w
    a = tl.load(x_ptr + (above + before)[:, None], mask=own, other=0).to(ACCURACY)
    b = tl.load(x_ptr + (above + behind)[:, None], mask=own, other=0).to(ACCURACY)
    c = tl.load(x_ptr + (below + before)[:, None], mask=own, other=0).to(ACCURACY)
    d = tl.load(x_ptr + (below + behind)[:, None], mask=own, other=0).to(ACCURACY)
    upper, lower = a + of_right * (b - a), c + of_right * (d - c)
    return upper + of_below * (lower - upper)


@triton.jit
def upsample_tiles(
    x_ptr,
    skip_ptr,
    out_ptr,
    x_stride_b,
    x_stride_c,
    x_stride_h,
    x_stride_w,
    skip_stride_b,
    skip_stride_c,
    skip_stride_h,
    skip_stride_w,
    out_stride_b,
    out_stride_c,
    out_stride_h,
    out_stride_w,
    channels,
    skip_channels,
    low_height,
    low_width,
    height,
    width,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
    ACCURACY: tl.constexpr,
):
    """A tile of the result: channels of x between four of its pixels, or a copy of some of skip."""
    sample, block, row, column = tile_of(width, height, ROWS, COLUMNS)
    inside = (row < height) & (column < width)
    blocks, channel = tl.cdiv(channels, CHANNELS), tl.arange(0, CHANNELS)[None, :]
    place = (row * out_stride_h + column * out_stride_w)[:, None] + channel * out_stride_c
    out_ptr += sample * out_stride_b
    if block < blocks:
        start = block.to(tl.int64) * CHANNELS
        values = _between_pixels(
            x_ptr + sample * x_stride_b + start * x_stride_c + channel * x_stride_c,
            tl.where(inside, row, 0),
            tl.where(inside, column, 0),
            channel < channels - start,
            x_stride_h,
            x_stride_w,
            low_height,
            low_width,
            height,
            width,
            ACCURACY,
        )
        mask = inside[:, None] & (channel < channels - start)
        tl.store(out_ptr + start * out_stride_c + place, values.to(out_ptr.dtype.element_ty), mask=mask)
    else:
        first = (block - blocks).to(tl.int64) * CHANNELS
        own = inside[:, None] & (channel < skip_channels - first)
        beside_ptr = skip_ptr + sample * skip_stride_b + first * skip_stride_c + channel * skip_stride_c
        beside = tl.load(beside_ptr + (row * skip_stride_h + column * skip_stride_w)[:, None], mask=own)
        tl.store(out_ptr + (channels + first) * out_stride_c + place, beside, mask=own)
