"""Triton kernel of the gradients of the gated map and of the gate, which is computed anew."""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers._runtime.tiles import put, tile
from dislayers.pointwise_gate.forward import gate, place


@triton.jit
def put_gradients(
    s_ptr,
    weight_ptr,
    bias_ptr,
    x_ptr,
    gradient_ptr,
    d_x_ptr,
    d_gate_ptr,
    partial_ptr,
    s_stride_b,
    s_stride_c,
    s_stride_n,
    x_stride_b,
    x_stride_d,
    x_stride_n,
    gradient_stride_b,
    gradient_stride_d,
    gradient_stride_n,
    d_x_stride_b,
    d_x_stride_d,
    d_x_stride_n,
    d_gate_stride_b,
    d_gate_stride_d,
    d_gate_stride_n,
    channels,
    depth,
    pixels,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
    TYPE: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """A tile of ``gradient * gate`` and of ``gradient * x``, and the sums of the latter over its pixels."""
    sample = tl.program_id(1).to(tl.int64)
    row, column, width = place(depth, pixels, ROWS, COLUMNS)
    s_ptr += sample * s_stride_b + column * s_stride_n
    x_ptr += sample * x_stride_b + row.to(tl.int64) * x_stride_d + column * x_stride_n
    gradient_ptr += sample * gradient_stride_b + row.to(tl.int64) * gradient_stride_d + column * gradient_stride_n
    d_x_ptr += sample * d_x_stride_b + row.to(tl.int64) * d_x_stride_d + column * d_x_stride_n
    d_gate_ptr += sample * d_gate_stride_b + row.to(tl.int64) * d_gate_stride_d + column * d_gate_stride_n
    product = gate(
        *(s_ptr, weight_ptr, bias_ptr, s_stride_c, s_stride_n, channels, row, depth, width),
        *(ROWS, COLUMNS, CHANNELS, TYPE, PRECISION),
    )
    gradient = tile(gradient_ptr, gradient_stride_d, gradient_stride_n, depth - row, width, ROWS, COLUMNS)
    put(d_x_ptr, product * gradient, d_x_stride_d, d_x_stride_n, depth - row, width)
    d_gate = gradient * tile(x_ptr, x_stride_d, x_stride_n, depth - row, width, ROWS, COLUMNS)
    put(d_gate_ptr, d_gate, d_gate_stride_d, d_gate_stride_n, depth - row, width)
    sums, rows = tl.sum(d_gate, axis=1), row + tl.arange(0, ROWS)
    tiles = tl.num_programs(0) // tl.cdiv(depth, ROWS)
    partial_ptr += (sample * tiles + tl.program_id(0) // tl.cdiv(depth, ROWS)) * depth
    tl.store(partial_ptr + rows, sums, mask=rows < depth)
