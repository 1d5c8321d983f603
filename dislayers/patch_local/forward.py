"""Triton kernels: the attention of every patch, then both halves of its concatenation.

Maps have six strides, ``(sample, row of patches, column of patches, channel, row, column)``, so whole maps and patches
are read alike. A tile is (channels, rows, columns) of a patch; Triton orders its threads by the stride of 1.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def corner(tiles_down, tiles_across, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """The patch of a program, and the first row and column of its tile."""
    tile = tl.program_id(0)
    row = tile // tiles_across % tiles_down * ROWS
    return tile // tiles_across // tiles_down, row, tile % tiles_across * COLUMNS


@triton.jit
def begin(ptr, strides, grid_rows, grid_columns, patch, row, column):
    """Where a tile of a patch begins."""
    down = patch // grid_columns
    ptr += (down // grid_rows).to(tl.int64) * strides[0] + (down % grid_rows).to(tl.int64) * strides[1]
    ptr += (patch % grid_columns).to(tl.int64) * strides[2]
    return ptr + row.to(tl.int64) * strides[4] + column.to(tl.int64) * strides[5]


@triton.jit
def axes(CHANNELS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Channels, rows and columns of a tile, counted from its first."""
    channel = tl.arange(0, CHANNELS)[:, None, None]
    return channel, tl.arange(0, ROWS)[None, :, None], tl.arange(0, COLUMNS)[None, None, :]


@triton.jit
def clamped(offset, first, size):
    """An offset from a place in a patch, or the nearest that stays inside it."""
    return tl.minimum(tl.maximum(offset, -first), size - 1 - first)


@triton.jit
def read(ptr, mask):
    """In float32; 0 where masked."""
    return tl.load(ptr, mask=mask, other=0).to(tl.float32)


@triton.jit
def _blend(ptr, near, far, mask):
    return 0.75 * read(ptr + near, mask) + 0.25 * read(ptr + far, mask)


@triton.jit
def upsampled(ptr, stride_row, stride_column, row, column, first_row, first_column, height, width, mask):
    """Rows ``2 row`` and ``2 row + 1`` of a patch upsampled by 2, at columns of the result; ptr is where a tile begins.

    A tap beyond the patch is the one at its edge, so weights are the same everywhere.
    """
    near = column // 2
    far = clamped(near + column % 2 * 2 - 1, first_column, width) * stride_column
    near *= stride_column
    middle = _blend(ptr + row * stride_row, near, far, mask)
    above = _blend(ptr + clamped(row - 1, first_row, height) * stride_row, near, far, mask)
    below = _blend(ptr + clamped(row + 1, first_row, height) * stride_row, near, far, mask)
    return 0.75 * middle + 0.25 * above, 0.75 * middle + 0.25 * below


@triton.jit
def gates(g_ptr, x_ptr, g_place, x_place, mask):
    """Their sum."""
    return read(g_ptr + g_place, mask) + read(x_ptr + x_place, mask)


@triton.jit
def relu(x):
    """``max(x, 0)``; NaN stays."""
    return tl.where(x <= 0, 0, x)


@triton.jit
def excited(
    gate_g_ptr, gate_x_ptr, weight_ptr, bias_ptr, weight_stride, g_stride, x_stride, g_place, x_place,
    channels, inside, CHANNELS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The attention of a tile, (1, rows, columns)."""
    channel = tl.arange(0, CHANNELS)[:, None, None]
    total = tl.zeros((CHANNELS, ROWS, COLUMNS), tl.float32)
    for first in range(0, channels, CHANNELS):
        here = first + channel < channels
        weight = read(weight_ptr + (first + channel) * weight_stride, here)
        total += weight * relu(gates(gate_g_ptr, gate_x_ptr, g_place, x_place, inside & here))
        gate_g_ptr += CHANNELS * g_stride
        gate_x_ptr += CHANNELS * x_stride
    score = tl.sum(total, axis=0)[None, :, :] + tl.load(bias_ptr).to(tl.float32)
    return tl.sigmoid(score)


@triton.jit
def attend(
    gate_g_ptr,
    gate_x_ptr,
    weight_ptr,
    bias_ptr,
    attention_ptr,
    gate_g_strides,
    gate_x_strides,
    weight_stride,
    channels,
    height,
    width,
    grid_rows,
    grid_columns,
    tiles_down,
    tiles_across,
    CHANNELS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """The attention of every patch, (patches, height, width)."""
    patch, first_row, first_column = corner(tiles_down, tiles_across, ROWS, COLUMNS)
    channel, row, column = axes(CHANNELS, ROWS, COLUMNS)
    inside = (first_row + row < height) & (first_column + column < width)
    attention = excited(
        begin(gate_g_ptr, gate_g_strides, grid_rows, grid_columns, patch, first_row, first_column),
        begin(gate_x_ptr, gate_x_strides, grid_rows, grid_columns, patch, first_row, first_column),
        weight_ptr,
        bias_ptr,
        weight_stride,
        gate_g_strides[3],
        gate_x_strides[3],
        channel * gate_g_strides[3] + row * gate_g_strides[4] + column * gate_g_strides[5],
        channel * gate_x_strides[3] + row * gate_x_strides[4] + column * gate_x_strides[5],
        channels,
        inside,
        CHANNELS,
        ROWS,
        COLUMNS,
    )
    attention_ptr += (patch.to(tl.int64) * height + first_row) * width + first_column
    tl.store(attention_ptr + row * width + column, attention, mask=inside)


@triton.jit
def concatenate(
    g_ptr,
    x_ptr,
    attention_ptr,
    result_ptr,
    g_strides,
    x_strides,
    result_strides,
    g_channels,
    x_channels,
    height,
    width,
    grid_rows,
    grid_columns,
    tiles_down,
    tiles_across,
    CHANNELS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """A tile of g (height x width a patch) upsampled, or what is twice as large of x, weighted; some channels of it."""
    patch, first_row, first_column = corner(tiles_down, tiles_across, ROWS, COLUMNS)
    channel, row, column = axes(CHANNELS, ROWS, 2 * COLUMNS)
    inside = (first_row + row < height) & (2 * first_column + column < 2 * width)
    result_ptr = begin(result_ptr, result_strides, grid_rows, grid_columns, patch, 2 * first_row, 2 * first_column)
    result_place = channel * result_strides[3] + 2 * row * result_strides[4] + column * result_strides[5]
    first = tl.program_id(1) * CHANNELS
    rest = first - tl.cdiv(g_channels, CHANNELS) * CHANNELS
    if rest < 0:
        mask = inside & (first + channel < g_channels)
        g_ptr = begin(g_ptr, g_strides, grid_rows, grid_columns, patch, first_row, first_column)
        g_ptr += first.to(tl.int64) * g_strides[3]
        result_ptr += first.to(tl.int64) * result_strides[3]
        even, odd = upsampled(
            g_ptr + channel * g_strides[3], g_strides[4], g_strides[5], row, column, first_row, first_column, height,
            width, mask,
        )  # fmt: skip
    else:
        mask = inside & (rest + channel < x_channels)
        x_ptr = begin(x_ptr, x_strides, grid_rows, grid_columns, patch, 2 * first_row, 2 * first_column)
        x_ptr += rest.to(tl.int64) * x_strides[3]
        result_ptr += (g_channels + rest).to(tl.int64) * result_strides[3]
        attention_ptr += (patch.to(tl.int64) * height + first_row) * width + first_column
        even, odd = upsampled(
            attention_ptr, width, 1, row, column, first_row, first_column, height, width, inside
        )  # fmt: skip
        place = channel * x_strides[3] + 2 * row * x_strides[4] + column * x_strides[5]
        even *= read(x_ptr + place, mask)
        odd *= read(x_ptr + place + x_strides[4], mask)
    tl.store(result_ptr + result_place, even.to(result_ptr.dtype.element_ty), mask=mask)
    tl.store(result_ptr + result_place + result_strides[4], odd.to(result_ptr.dtype.element_ty), mask=mask)
