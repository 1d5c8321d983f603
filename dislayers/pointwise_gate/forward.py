"""Triton kernel of the gated map: the gate of a tile of channels and pixels, multiplied where it is."""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers._runtime.tiles import put, tile


@triton.jit
def gate(
    s_ptr,
    weight_ptr,
    bias_ptr,
    s_stride_c,
    s_stride_n,
    channels,
    row,
    depth,
    width,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
    TYPE: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """``weight s + bias`` in float32 for rows of the weight and columns of s, of which width are left."""
    rows, columns, within = row + tl.arange(0, ROWS), tl.arange(0, COLUMNS), tl.arange(0, CHANNELS)
    weights_ptr = weight_ptr + rows[:, None] * channels + within[None, :]
    features_ptr = s_ptr + within[:, None] * s_stride_c + columns[None, :] * s_stride_n
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for channel in range(0, channels, CHANNELS):
        there = within < channels - channel
        weight = tl.load(weights_ptr, mask=(rows < depth)[:, None] & there[None, :], other=0)
        features = tl.load(features_ptr, mask=there[:, None] & (columns < width)[None, :], other=0)
        total = tl.dot(weight.to(TYPE), features.to(TYPE), total, input_precision=PRECISION)
        weights_ptr += CHANNELS
        features_ptr += CHANNELS * s_stride_c
    return total + tl.load(bias_ptr + rows, mask=rows < depth, other=0).to(tl.float32)[:, None]


@triton.jit
def place(depth, pixels, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """The first row and the first column of a program: programs of the same columns follow each other."""
    tiles = tl.cdiv(depth, ROWS)
    row, column = tl.program_id(0) % tiles * ROWS, tl.program_id(0) // tiles * COLUMNS
    return row, column.to(tl.int64), pixels - column


@triton.jit
def put_gated(
    s_ptr,
    weight_ptr,
    bias_ptr,
    x_ptr,
    result_ptr,
    s_stride_b,
    s_stride_c,
    s_stride_n,
    x_stride_b,
    x_stride_d,
    x_stride_n,
    result_stride_b,
    result_stride_d,
    result_stride_n,
    channels,
    depth,
    pixels,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
    TYPE: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """A tile of ``gate * x``."""
    sample = tl.program_id(1).to(tl.int64)
    row, column, width = place(depth, pixels, ROWS, COLUMNS)
    s_ptr += sample * s_stride_b + column * s_stride_n
    x_ptr += sample * x_stride_b + row.to(tl.int64) * x_stride_d + column * x_stride_n
    result_ptr += sample * result_stride_b + row.to(tl.int64) * result_stride_d + column * result_stride_n
    product = gate(
        *(s_ptr, weight_ptr, bias_ptr, s_stride_c, s_stride_n, channels, row, depth, width),
        *(ROWS, COLUMNS, CHANNELS, TYPE, PRECISION),
    )
    x = tile(x_ptr, x_stride_d, x_stride_n, depth - row, width, ROWS, COLUMNS)
    put(result_ptr, product * x, result_stride_d, result_stride_n, depth - row, width)
