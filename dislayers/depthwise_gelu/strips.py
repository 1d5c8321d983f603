"""Strips of rows of feature maps in any layout, three rows at a time, in Triton; needs Triton.

A map is a tuple of its pointer and its strides: of samples, channels, rows, columns. A lane goes down the rows of one
column of one channel. A tile has SPANS x WIDTH lanes; a span is WIDTH columns side by side in one channel or, with
CHANNELS_LAST, one column in WIDTH channels: what lies side by side in memory.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def place_of(sizes, SPANS: tl.constexpr, WIDTH: tl.constexpr, CHANNELS_LAST: tl.constexpr):
    """Where the spans of a program start (sample, channel, row, column), then how many rows are left of each lane, of
    the column before it and of the one behind it, 0 beyond the image, and which spans of their channels they are.

    The sizes are spans of a channel, spans of a strip, strips of a sample, rows of a strip, height, width, channels.
    """
    total, across, down, rows, height, width, channels = sizes
    span, offs = tl.program_id(0) * SPANS + tl.arange(0, SPANS)[:, None], tl.arange(0, WIDTH)[None, :]
    channel = tl.program_id(1) * WIDTH
    if not CHANNELS_LAST:
        channel, span = span % channels, span // channels
    strip, column = span // across, span % across
    row, sample = strip % down * rows, strip // down
    if CHANNELS_LAST:
        there = (span < total) & (offs < channels - channel)
        before, behind = there & (column > 0), there & (column < width - 1)
    else:
        column = column * WIDTH
        there = (span < total) & (offs < width - column)
        before, behind = there & (offs > -column), there & (offs < width - 1 - column)
    left = height - row
    rows_left = tl.where(there, left, 0), tl.where(before, left, 0), tl.where(behind, left, 0)
    return sample, channel, row, column, rows_left[0], rows_left[1], rows_left[2], span


@triton.jit
def lanes(feature_map, place, WIDTH: tl.constexpr, CHANNELS_LAST: tl.constexpr):
    """The addresses of a tile's first row."""
    start = place[0].to(tl.int64) * feature_map[1] + place[1].to(tl.int64) * feature_map[2]
    start += place[2].to(tl.int64) * feature_map[3] + place[3].to(tl.int64) * feature_map[4]
    inner = feature_map[2] if CHANNELS_LAST else feature_map[4]
    return feature_map[0] + start + tl.arange(0, WIDTH)[None, :] * inner


@triton.jit
def row_of(row_ptr, column_stride, row, place):
    """A row of a strip in float32: the columns before, its own, those behind; 0 beyond the image."""
    before = tl.load(row_ptr - column_stride, mask=row < place[5], other=0).to(tl.float32)
    own = tl.load(row_ptr, mask=row < place[4], other=0).to(tl.float32)
    behind = tl.load(row_ptr + column_stride, mask=row < place[6], other=0).to(tl.float32)
    return before, own, behind


@triton.jit
def first_rows(strip_ptr, feature_map, place):
    """The row above a strip, and its first."""
    row = tl.where(place[2] > 0, 0, place[4])
    above = row_of(strip_ptr - feature_map[3], feature_map[4], row, place)
    return above, row_of(strip_ptr, feature_map[4], 0, place)


@triton.jit
def next_rows(row_ptr, feature_map, row, place):
    """The three rows below a row, so that much is under way at a time."""
    first = row_of(row_ptr + feature_map[3], feature_map[4], row + 1, place)
    second = row_of(row_ptr + 2 * feature_map[3], feature_map[4], row + 2, place)
    return first, second, row_of(row_ptr + 3 * feature_map[3], feature_map[4], row + 3, place)


@triton.jit
def put_rows(row_ptr, feature_map, row, place, values):
    """Store three rows of a strip as far as the image goes."""
    for i in tl.static_range(3):
        value = values[i].to(feature_map[0].dtype.element_ty)
        tl.store(row_ptr + i * feature_map[3], value, mask=row + i < place[4])


@triton.jit
def channels_of(place, sizes, WIDTH: tl.constexpr, CHANNELS_LAST: tl.constexpr):
    """The channels of a tile's spans, or of its columns with CHANNELS_LAST, and which there are."""
    if CHANNELS_LAST:
        channel = place[1] + tl.arange(0, WIDTH)[None, :]
        return channel, channel < sizes[6]
    else:
        return place[1], place[7] < sizes[0]


@triton.jit
def weights_of(weight_ptr, channel, exists):
    """The nine weights of each channel, row by row, in float32."""
    found = ()
    for i in tl.static_range(9):
        weight = tl.load(weight_ptr + channel * 9 + i, mask=exists, other=0)
        found = found + (weight.to(tl.float32),)  # type: ignore[assignment]  # noqa: RUF005
    return found


@triton.jit
def with_row(total, row, weights, i: tl.constexpr):
    """A sum with the three columns of a row, each times its weight of row i of the kernel."""
    return total + row[0] * weights[3 * i] + row[1] * weights[3 * i + 1] + row[2] * weights[3 * i + 2]


@triton.jit
def begun(above, here, weights, bias):
    """The convolution of a row as far as the rows above it and itself go, and of the next as far as this one goes."""
    return with_row(with_row(bias, above, weights, 0), here, weights, 1), with_row(bias, here, weights, 0)


@triton.jit
def completed(sums, below, weights, bias):
    """The convolution of three rows of which sums were begun, and what their third begins; below are the next three."""
    first = with_row(sums[0], below[0], weights, 2)
    second = with_row(with_row(sums[1], below[0], weights, 1), below[1], weights, 2)
    third, _ = begun(below[0], below[1], weights, bias)
    return (first, second, with_row(third, below[2], weights, 2)), begun(below[1], below[2], weights, bias)
