"""Triton kernels of the gradient: through the concatenation, then through the gate. Every value is gathered once."""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers.patch_local.forward import axes, begin, clamped, corner, excited, gates, read, relu, upsampled


@triton.jit
def _weigh(a, b, c, d):
    return 0.75 * (b + c) + 0.25 * (a + d)


@triton.jit
def _gather_row(ptr, stride, column, first_column, width, mask):
    before = clamped(2 * column - 1, 2 * first_column, 2 * width)
    after = clamped(2 * column + 2, 2 * first_column, 2 * width)
    middle = 2 * column * stride
    return _weigh(
        read(ptr + before * stride, mask),
        read(ptr + middle, mask),
        read(ptr + middle + stride, mask),
        read(ptr + after * stride, mask),
    )


@triton.jit
def gathered(ptr, stride_row, stride_column, row, column, first_row, first_column, height, width, mask):
    """The adjoint of the upsampling; ptr is where a tile of the upsampled patch begins."""
    before = clamped(2 * row - 1, 2 * first_row, 2 * height)
    after = clamped(2 * row + 2, 2 * first_row, 2 * height)
    return _weigh(
        _gather_row(ptr + before * stride_row, stride_column, column, first_column, width, mask),
        _gather_row(ptr + 2 * row * stride_row, stride_column, column, first_column, width, mask),
        _gather_row(ptr + (2 * row + 1) * stride_row, stride_column, column, first_column, width, mask),
        _gather_row(ptr + after * stride_row, stride_column, column, first_column, width, mask),
    )


@triton.jit
def _to_x(
    gradient_ptr, x_ptr, attention_ptr, d_x_ptr, product_ptr, gradient_strides, x_strides, d_x_strides, channels,
    first_row, first_column, height, width, CHANNELS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Pointers are where a tile begins; it has all channels."""
    channel, row, column = axes(CHANNELS, ROWS, 2 * COLUMNS)
    inside = (first_row + row < height) & (2 * first_column + column < 2 * width)
    even, odd = upsampled(
        attention_ptr, width, 1, row, column, first_row, first_column, height, width, inside
    )  # fmt: skip
    place = channel * gradient_strides[3] + 2 * row * gradient_strides[4] + column * gradient_strides[5]
    x_place = channel * x_strides[3] + 2 * row * x_strides[4] + column * x_strides[5]
    d_x_place = channel * d_x_strides[3] + 2 * row * d_x_strides[4] + column * d_x_strides[5]
    of_even = tl.zeros((CHANNELS, ROWS, 2 * COLUMNS), tl.float32)
    of_odd = tl.zeros((CHANNELS, ROWS, 2 * COLUMNS), tl.float32)
    for first in range(0, channels, CHANNELS):
        mask = inside & (first + channel < channels)
        gradient = read(gradient_ptr + place, mask)
        of_even += gradient * read(x_ptr + x_place, mask)
        tl.store(d_x_ptr + d_x_place, (gradient * even).to(d_x_ptr.dtype.element_ty), mask=mask)
        gradient = read(gradient_ptr + place + gradient_strides[4], mask)
        of_odd += gradient * read(x_ptr + x_place + x_strides[4], mask)
        tl.store(d_x_ptr + d_x_place + d_x_strides[4], (gradient * odd).to(d_x_ptr.dtype.element_ty), mask=mask)
        gradient_ptr += CHANNELS * gradient_strides[3]
        x_ptr += CHANNELS * x_strides[3]
        d_x_ptr += CHANNELS * d_x_strides[3]
    product_ptr += 4 * row * width + column
    tl.store(product_ptr, tl.sum(of_even, axis=0)[None, :, :], mask=inside)
    tl.store(product_ptr + 2 * width, tl.sum(of_odd, axis=0)[None, :, :], mask=inside)


@triton.jit
def _to_g(
    gradient_ptr, d_g_ptr, gradient_strides, d_g_strides, channels, first_row, first_column, height, width,
    CHANNELS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Pointers are where a tile begins; it has the channels of a block."""
    channel, row, column = axes(CHANNELS, ROWS, COLUMNS)
    mask = (first_row + row < height) & (first_column + column < width) & (channel < channels)
    result = gathered(
        gradient_ptr + channel * gradient_strides[3], gradient_strides[4], gradient_strides[5], row, column,
        first_row, first_column, height, width, mask,
    )  # fmt: skip
    place = channel * d_g_strides[3] + row * d_g_strides[4] + column * d_g_strides[5]
    tl.store(d_g_ptr + place, result.to(d_g_ptr.dtype.element_ty), mask=mask)


@triton.jit
def through_concatenation(
    gradient_ptr,
    x_ptr,
    attention_ptr,
    d_g_ptr,
    d_x_ptr,
    product_ptr,
    gradient_strides,
    x_strides,
    d_g_strides,
    d_x_strides,
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
    """Gradient of a tile of x, and the sums over channels of the result's times x; or that of some channels of g."""
    patch, row, column = corner(tiles_down, tiles_across, ROWS, COLUMNS)
    gradient_ptr = begin(gradient_ptr, gradient_strides, grid_rows, grid_columns, patch, 2 * row, 2 * column)
    if tl.program_id(1) == 0:
        tile = (patch.to(tl.int64) * height + row) * width
        _to_x(
            gradient_ptr + tl.cast(g_channels, tl.int64) * gradient_strides[3],
            begin(x_ptr, x_strides, grid_rows, grid_columns, patch, 2 * row, 2 * column),
            attention_ptr + tile + column,
            begin(d_x_ptr, d_x_strides, grid_rows, grid_columns, patch, 2 * row, 2 * column),
            product_ptr + 4 * tile + 2 * column,
            gradient_strides,
            x_strides,
            d_x_strides,
            x_channels,
            row,
            column,
            height,
            width,
            CHANNELS,
            ROWS,
            COLUMNS,
        )
    else:
        first = (tl.program_id(1) - 1) * CHANNELS
        d_g_ptr = begin(d_g_ptr, d_g_strides, grid_rows, grid_columns, patch, row, column)
        _to_g(
            gradient_ptr + first.to(tl.int64) * gradient_strides[3],
            d_g_ptr + first.to(tl.int64) * d_g_strides[3],
            gradient_strides,
            d_g_strides,
            g_channels - first,
            row,
            column,
            height,
            width,
            CHANNELS,
            ROWS,
            COLUMNS,
        )


@triton.jit
def through_gate(
    product_ptr,
    gate_g_ptr,
    gate_x_ptr,
    weight_ptr,
    bias_ptr,
    d_gate_g_ptr,
    d_gate_x_ptr,
    partial_ptr,
    gate_g_strides,
    gate_x_strides,
    d_gate_g_strides,
    d_gate_x_strides,
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
    """The gradients of a tile of both gates, and its share of those of weight and bias, (programs, channels + 1)."""
    patch, first_row, first_column = corner(tiles_down, tiles_across, ROWS, COLUMNS)
    channel, row, column = axes(CHANNELS, ROWS, COLUMNS)
    inside = (first_row + row < height) & (first_column + column < width)
    gate_g_ptr = begin(gate_g_ptr, gate_g_strides, grid_rows, grid_columns, patch, first_row, first_column)
    gate_x_ptr = begin(gate_x_ptr, gate_x_strides, grid_rows, grid_columns, patch, first_row, first_column)
    d_gate_g_ptr = begin(d_gate_g_ptr, d_gate_g_strides, grid_rows, grid_columns, patch, first_row, first_column)
    d_gate_x_ptr = begin(d_gate_x_ptr, d_gate_x_strides, grid_rows, grid_columns, patch, first_row, first_column)
    g_place = channel * gate_g_strides[3] + row * gate_g_strides[4] + column * gate_g_strides[5]
    x_place = channel * gate_x_strides[3] + row * gate_x_strides[4] + column * gate_x_strides[5]
    d_g_place = channel * d_gate_g_strides[3] + row * d_gate_g_strides[4] + column * d_gate_g_strides[5]
    d_x_place = channel * d_gate_x_strides[3] + row * d_gate_x_strides[4] + column * d_gate_x_strides[5]
    attention = excited(
        gate_g_ptr, gate_x_ptr, weight_ptr, bias_ptr, weight_stride, gate_g_strides[3], gate_x_strides[3], g_place,
        x_place, channels, inside, CHANNELS, ROWS, COLUMNS,
    )  # fmt: skip
    product_ptr += 4 * (patch.to(tl.int64) * height + first_row) * width + 2 * first_column
    d_attention = gathered(
        product_ptr, 2 * width, 1, row, column, first_row, first_column, height, width, inside
    )  # fmt: skip
    d_score = d_attention * attention * (1 - attention)
    partial_ptr += tl.program_id(0).to(tl.int64) * (channels + 1)
    for first in range(0, channels, CHANNELS):
        here = first + channel < channels
        weight = read(weight_ptr + (first + channel) * weight_stride, here)
        gate = gates(gate_g_ptr, gate_x_ptr, g_place, x_place, inside & here)
        d_gate = tl.where(gate <= 0, 0, d_score * weight)
        tl.store(d_gate_g_ptr + d_g_place, d_gate.to(d_gate_g_ptr.dtype.element_ty), mask=inside & here)
        tl.store(d_gate_x_ptr + d_x_place, d_gate.to(d_gate_x_ptr.dtype.element_ty), mask=inside & here)
        d_weight = tl.sum(tl.sum(d_score * relu(gate), axis=2), axis=1)
        one = first + tl.arange(0, CHANNELS)
        tl.store(partial_ptr + one, d_weight, mask=one < channels)
        gate_g_ptr += CHANNELS * gate_g_strides[3]
        gate_x_ptr += CHANNELS * gate_x_strides[3]
        d_gate_g_ptr += CHANNELS * d_gate_g_strides[3]
        d_gate_x_ptr += CHANNELS * d_gate_x_strides[3]
    tl.store(partial_ptr + channels, tl.sum(d_score))
