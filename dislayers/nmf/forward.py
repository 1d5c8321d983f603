"""Triton kernels of the updates: coefficients of a block of pixels, sums over the pixels, the bases.

Coefficients are (N, R) in memory, bases (R, D) with their Gram matrix beside them, (R, D + R) in all. Everything is
float32 once it is loaded; PRECISION is that of products.
"""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers._runtime.tiles import put, tile
from dislayers.nmf import reference

EPSILON = tl.constexpr(reference.EPSILON)


@triton.jit
def update_coefficients(
    x_ptr,
    kept_ptr,
    coefficients_ptr,
    result_ptr,
    x_stride_b,
    x_stride_d,
    x_stride_n,
    result_stride_b,
    result_stride_d,
    result_stride_n,
    kept_stride_b,
    coefficients_stride_b,
    coefficients_stride_step,
    depth,
    pixels,
    start,
    stop,
    RANK: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    LAST: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """The updates from start to stop of a block of pixels, which update 0 begins with the softmax.

    Coefficients are those before the first of these updates; each update puts its own a stride after those before it,
    so that none is read where it is written. After the last update of all comes the product of both factors.
    """
    sample, first = tl.program_id(1).to(tl.int64), tl.program_id(0) * HEIGHT
    rows, width = pixels - first, depth + RANK
    x_ptr += sample * x_stride_b + first.to(tl.int64) * x_stride_n
    basis_ptr = kept_ptr + sample * kept_stride_b + start * RANK * width
    coefficients_ptr += sample * coefficients_stride_b + first.to(tl.int64) * RANK
    coefficients = tile(coefficients_ptr, RANK, 1, tl.where(start > 0, rows, 0), RANK, HEIGHT, RANK)
    for step in range(start, stop):
        numerator = tl.zeros((HEIGHT, RANK), tl.float32)
        column_ptr = x_ptr
        for channel in range(0, depth, WIDTH):
            x = tile(column_ptr, x_stride_n, x_stride_d, rows, depth - channel, HEIGHT, WIDTH)
            basis = tile(basis_ptr + channel, 1, width, depth - channel, RANK, WIDTH, RANK)
            numerator = tl.dot(x, basis, numerator, input_precision=PRECISION)
            column_ptr += WIDTH * x_stride_d
        if step == 0:
            coefficients = tl.exp(numerator - tl.max(numerator, axis=1)[:, None])
            coefficients /= tl.sum(coefficients, axis=1)[:, None]
            put(coefficients_ptr, coefficients, RANK, 1, rows, RANK)
        gram = tile(basis_ptr + depth, width, 1, RANK, RANK, RANK, RANK)
        denominator = tl.dot(coefficients, gram, input_precision=PRECISION) + EPSILON
        coefficients = coefficients * numerator / denominator
        coefficients_ptr += coefficients_stride_step
        put(coefficients_ptr, coefficients, RANK, 1, rows, RANK)
        basis_ptr += RANK * width
    if LAST:
        basis_ptr -= RANK * width
        result_ptr += sample * result_stride_b + first.to(tl.int64) * result_stride_n
        for channel in range(0, depth, WIDTH):
            basis = tile(basis_ptr + channel, width, 1, RANK, depth - channel, RANK, WIDTH)
            product = tl.dot(coefficients, basis, input_precision=PRECISION)
            put(result_ptr, product, result_stride_n, result_stride_d, rows, depth - channel)
            result_ptr += WIDTH * result_stride_d


@triton.jit
def sum_over_pixels(
    x_ptr,
    factor_ptr,
    left_ptr,
    right_ptr,
    partial_ptr,
    x_stride_b,
    x_stride_d,
    x_stride_n,
    factor_stride_b,
    left_stride_b,
    right_stride_b,
    depth,
    pixels,
    span,
    RANK: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """A tile of ``[factor^T x^T, left^T right]`` (R, D + R) over a span of the pixels."""
    part, sample = tl.program_id(1), tl.program_id(2).to(tl.int64)
    first = part * span
    last = tl.minimum(first + span, pixels)
    partial_ptr += (sample * tl.num_programs(1) + part) * (RANK * (depth + RANK))
    column = tl.program_id(0) * WIDTH
    if column < depth:
        x_ptr += sample * x_stride_b + column.to(tl.int64) * x_stride_d + first.to(tl.int64) * x_stride_n
        factor_ptr += sample * factor_stride_b + first.to(tl.int64) * RANK
        total = tl.zeros((RANK, WIDTH), tl.float32)
        for pixel in range(first, last, HEIGHT):
            factor = tile(factor_ptr, 1, RANK, RANK, last - pixel, RANK, HEIGHT)
            x = tile(x_ptr, x_stride_n, x_stride_d, last - pixel, depth - column, HEIGHT, WIDTH)
            total = tl.dot(factor, x, total, input_precision=PRECISION)
            x_ptr += HEIGHT * x_stride_n
            factor_ptr += HEIGHT * RANK
        put(partial_ptr + column, total, depth + RANK, 1, RANK, depth - column)
    else:
        left_ptr += sample * left_stride_b + first.to(tl.int64) * RANK
        right_ptr += sample * right_stride_b + first.to(tl.int64) * RANK
        gram = tl.zeros((RANK, RANK), tl.float32)
        for pixel in range(first, last, HEIGHT):
            left = tile(left_ptr, 1, RANK, RANK, last - pixel, RANK, HEIGHT)
            right = tile(right_ptr, RANK, 1, last - pixel, RANK, HEIGHT, RANK)
            gram = tl.dot(left, right, gram, input_precision=PRECISION)
            left_ptr += HEIGHT * RANK
            right_ptr += HEIGHT * RANK
        put(partial_ptr + depth, gram, depth + RANK, 1, RANK, RANK)


@triton.jit
def joined(partial_ptr, column, depth, parts, RANK: tl.constexpr, WIDTH: tl.constexpr):
    """The sums over all spans: a tile of the left part, and the right part."""
    total = tl.zeros((RANK, WIDTH), tl.float32)
    gram = tl.zeros((RANK, RANK), tl.float32)
    for _ in range(parts):
        total += tile(partial_ptr + column, depth + RANK, 1, RANK, depth - column, RANK, WIDTH)
        gram += tile(partial_ptr + depth, depth + RANK, 1, RANK, RANK, RANK, RANK)
        partial_ptr += RANK * (depth + RANK)
    return total, gram


@triton.jit
def update_bases(
    partial_ptr,
    kept_ptr,
    sums_ptr,
    gram_ptr,
    kept_stride_b,
    sums_stride_b,
    depth,
    parts,
    RANK: tl.constexpr,
    WIDTH: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Join the sums over the pixels, keep them and update the bases: a tile of the channels, with its Gram matrix."""
    sample, column, width = tl.program_id(1).to(tl.int64), tl.program_id(0) * WIDTH, depth + RANK
    partial_ptr += sample * parts * (RANK * width)
    kept_ptr += sample * kept_stride_b + column
    sums_ptr += sample * sums_stride_b
    numerator, gram = joined(partial_ptr, column, depth, parts, RANK, WIDTH)
    put(sums_ptr + column, numerator, width, 1, RANK, depth - column)
    if column == 0:
        put(sums_ptr + depth, gram, width, 1, RANK, RANK)
    basis = tile(kept_ptr, width, 1, RANK, depth - column, RANK, WIDTH)
    basis = basis * numerator / (tl.dot(gram, basis, input_precision=PRECISION) + EPSILON)
    put(kept_ptr + RANK * width, basis, width, 1, RANK, depth - column)
    gram_ptr += (sample * tl.num_programs(0) + tl.program_id(0)) * (RANK * RANK)
    put(gram_ptr, tl.dot(basis, tl.trans(basis), input_precision=PRECISION), RANK, 1, RANK, RANK)
