"""Tiles of 2x2 windows of feature maps in any layout, in Triton.

A map is a tuple of its pointer and its strides: of samples, channels, rows, columns. A span is WIDTH windows side by
side in one channel or, with CHANNELS_LAST, one window in WIDTH channels: what lies side by side in memory. A tile has
SPANS of them, and four numbers for each window, row by row: those beyond the edge are 0.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def place_of(tile, sizes, SPANS: tl.constexpr, WIDTH: tl.constexpr, CHANNELS_LAST: tl.constexpr):
    """Where the spans of a tile start (sample, channel, row, column), which there are, and what is left of the map.

    The sizes are spans of all samples, spans of a row of windows, rows of windows, height, width, channels.
    """
    total, across, down, height, width, channels = sizes
    span = tile * SPANS + tl.arange(0, SPANS)[:, None]
    row = span // across
    row, sample = 2 * (row % down), row // down
    channel, column = tl.program_id(1), 2 * (span % across)
    if CHANNELS_LAST:
        channel = channel * WIDTH
    else:
        column = column * WIDTH
    return sample, channel, row, column, span < total, height - row, width - column, channels - channel


@triton.jit
def channels_of(place, WIDTH: tl.constexpr, CHANNELS_LAST: tl.constexpr):
    """A tile's channels in a row, one or WIDTH, and which there are."""
    offs = tl.arange(0, WIDTH if CHANNELS_LAST else 1)[None, :]
    return place[1] + offs, offs < place[7]


@triton.jit
def there(place, corner: tl.constexpr, WIDTH: tl.constexpr, CHANNELS_LAST: tl.constexpr):
    """Whether the map has a corner of each window."""
    offs = tl.arange(0, WIDTH)[None, :]
    right: tl.constexpr = corner % 2
    inside = place[4] & (place[5] > corner // 2)
    if CHANNELS_LAST:
        return inside & (place[6] > right) & (offs < place[7])
    else:
        return inside & (2 * offs + right < place[6])


@triton.jit
def _start(feature_map, place):
    sample, channel, row, column = place[0], place[1], place[2], place[3]
    offset = sample.to(tl.int64) * feature_map[1] + channel.to(tl.int64) * feature_map[2]
    return feature_map[0] + offset + row.to(tl.int64) * feature_map[3] + column.to(tl.int64) * feature_map[4]


@triton.jit
def _row_mask(place, lower: tl.constexpr, WIDTH: tl.constexpr):
    return place[4] & (place[5] > lower) & (tl.arange(0, 2 * WIDTH)[None, :] < place[6])


@triton.jit
def load(feature_map, place, WIDTH: tl.constexpr, CHANNELS_LAST: tl.constexpr):
    """The four corners of a tile's windows, in float32."""
    start = _start(feature_map, place)
    found = ()
    for lower in tl.static_range(2):
        row_ptr = start + lower * feature_map[3]
        if CHANNELS_LAST:
            column_ptr = row_ptr + tl.arange(0, WIDTH)[None, :] * feature_map[2]
            left = tl.load(column_ptr, there(place, 2 * lower, WIDTH, CHANNELS_LAST), other=0)
            column_ptr += feature_map[4]
            right = tl.load(column_ptr, there(place, 2 * lower + 1, WIDTH, CHANNELS_LAST), other=0)
        else:
            column_ptr = row_ptr + tl.arange(0, 2 * WIDTH)[None, :] * feature_map[4]
            row = tl.load(column_ptr, _row_mask(place, lower, WIDTH), other=0)
            left, right = tl.split(row.reshape(row.shape[0], WIDTH, 2))
        found = found + (left.to(tl.float32), right.to(tl.float32))  # type: ignore[assignment]  # noqa: RUF005
    return found


@triton.jit
def store(feature_map, place, corners, WIDTH: tl.constexpr, CHANNELS_LAST: tl.constexpr):
    """Put the four corners of a tile's windows."""
    start = _start(feature_map, place)
    for lower in tl.static_range(2):
        row_ptr = start + lower * feature_map[3]
        left = corners[2 * lower].to(feature_map[0].dtype.element_ty)
        right = corners[2 * lower + 1].to(feature_map[0].dtype.element_ty)
        if CHANNELS_LAST:
            column_ptr = row_ptr + tl.arange(0, WIDTH)[None, :] * feature_map[2]
            tl.store(column_ptr, left, there(place, 2 * lower, WIDTH, CHANNELS_LAST))
            tl.store(column_ptr + feature_map[4], right, there(place, 2 * lower + 1, WIDTH, CHANNELS_LAST))
        else:
            column_ptr = row_ptr + tl.arange(0, 2 * WIDTH)[None, :] * feature_map[4]
            row = tl.join(left, right).reshape(left.shape[0], 2 * WIDTH)
            tl.store(column_ptr, row, _row_mask(place, lower, WIDTH))


@triton.jit
def pooled_ptr(feature_map, place, WIDTH: tl.constexpr, CHANNELS_LAST: tl.constexpr):
    """Addresses of what a pooled map has for each window."""
    halved = place[0], place[1], place[2] // 2, place[3] // 2
    inner = feature_map[2] if CHANNELS_LAST else feature_map[4]
    return _start(feature_map, halved) + tl.arange(0, WIDTH)[None, :] * inner
