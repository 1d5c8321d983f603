"""The gradient of the upsampled map: each pixel gathers, so sums have a fixed order; in Triton, needs Triton."""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers.upsample_concat.forward import place_of, tile_of


@triton.jit
def _share(pixel, of, low, full, ACCURACY: tl.constexpr):
    """What low pixel ``of`` has of a pixel."""
    share = tl.maximum(1 - tl.abs(place_of(pixel, low, full, ACCURACY) - of.to(ACCURACY)), 0)
    return tl.where((pixel < full) & (of < low), share, 0)


@triton.jit
def _first(of, low, full):
    """The first pixel that a low one may have a share in."""
    return tl.maximum(((2 * of - 1) * full + low) // (2 * low), 0)


@triton.jit
def gather_tiles(
    gradient_ptr,
    out_ptr,
    gradient_stride_b,
    gradient_stride_c,
    gradient_stride_h,
    gradient_stride_w,
    out_stride_b,
    out_stride_c,
    out_stride_h,
    out_stride_w,
    channels,
    low_height,
    low_width,
    height,
    width,
    DOWN: tl.constexpr,
    ACROSS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
    ACCURACY: tl.constexpr,
):
    """A tile of the gradient of x: each pixel adds up at most DOWN x ACROSS pixels in which it has a share."""
    sample, block, row, column = tile_of(low_width, low_height, ROWS, COLUMNS)
    start, channel = block.to(tl.int64) * CHANNELS, tl.arange(0, CHANNELS)
    own = (channel < channels - start)[None, :]
    gradient_ptr += sample * gradient_stride_b + start * gradient_stride_c + channel[None, :] * gradient_stride_c
    top, left = _first(row, low_height, height), _first(column, low_width, width)
    total = tl.zeros((ROWS * COLUMNS, CHANNELS), ACCURACY)
    for i in range(DOWN):
        of_row = _share(top + i, row, low_height, height, ACCURACY)
        for j in range(ACROSS):
            share = of_row * _share(left + j, column, low_width, width, ACCURACY)
            place = (top + i) * gradient_stride_h + (left + j) * gradient_stride_w
            incoming = tl.load(gradient_ptr + place[:, None], mask=own & (share > 0)[:, None], other=0)
            total += share[:, None] * incoming.to(ACCURACY)
    mask = own & ((row < low_height) & (column < low_width))[:, None]
    out_ptr += sample * out_stride_b + start * out_stride_c + channel[None, :] * out_stride_c
    place = row * out_stride_h + column * out_stride_w
    tl.store(out_ptr + place[:, None], total.to(out_ptr.dtype.element_ty), mask=mask)
