"""Triton kernels of the gradient: of one update of the coefficients, of one of the bases, of x at the end.

Coefficients, their gradients and shares are (N, R) in memory, as :mod:`dislayers.nmf.forward` has them.
"""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers._runtime.tiles import put, tile
from dislayers.nmf.forward import EPSILON, joined


@triton.jit
def through_coefficients(
    x_ptr,
    kept_ptr,
    slope_ptr,
    gram_ptr,
    coefficients_ptr,
    after_ptr,
    before_ptr,
    share_ptr,
    divisor_ptr,
    outer_ptr,
    x_stride_b,
    x_stride_d,
    x_stride_n,
    outer_stride_b,
    outer_stride_d,
    outer_stride_n,
    kept_stride_b,
    slope_stride_b,
    coefficients_stride_b,
    share_stride_b,
    depth,
    pixels,
    RANK: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    FIRST: tl.constexpr,
    LAST: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Through an update of a block of pixels, from its coefficients after it to those before it.

    After it the gradient comes from the next update of the bases, whose ``slope`` and ``gram`` are the gradients of its
    numerator and of its Gram matrix, and from the next one of the coefficients, ``after``; after the last update from
    ``outer``, the gradient of the product. The share is the gradient of the numerator, the divisor that of the
    denominator. Before the first update comes the softmax.
    """
    sample, first = tl.program_id(1).to(tl.int64), tl.program_id(0) * HEIGHT
    rows, width, start = pixels - first, depth + RANK, first.to(tl.int64)
    x_ptr += sample * x_stride_b + start * x_stride_n
    outer_ptr += sample * outer_stride_b + start * outer_stride_n
    kept_ptr += sample * kept_stride_b
    slope_ptr += sample * slope_stride_b
    numerator = tl.zeros((HEIGHT, RANK), tl.float32)
    gradient = tl.zeros((HEIGHT, RANK), tl.float32)
    for channel in range(0, depth, WIDTH):
        left = depth - channel
        x = tile(x_ptr, x_stride_n, x_stride_d, rows, left, HEIGHT, WIDTH)
        basis = tile(kept_ptr + channel, 1, width, left, RANK, WIDTH, RANK)
        numerator = tl.dot(x, basis, numerator, input_precision=PRECISION)
        if LAST:
            outer = tile(outer_ptr, outer_stride_n, outer_stride_d, rows, left, HEIGHT, WIDTH)
            gradient = tl.dot(outer, basis, gradient, input_precision=PRECISION)
            outer_ptr += WIDTH * outer_stride_d
        else:
            slope = tile(slope_ptr + channel, 1, depth, left, RANK, WIDTH, RANK)
            gradient = tl.dot(x, slope, gradient, input_precision=PRECISION)
        x_ptr += WIDTH * x_stride_d

    place = start * RANK
    own = sample * pixels * RANK + place
    coefficients = tile(coefficients_ptr + sample * coefficients_stride_b + place, RANK, 1, rows, RANK, HEIGHT, RANK)
    gram = tile(kept_ptr + depth, width, 1, RANK, RANK, RANK, RANK)
    denominator = tl.dot(coefficients, gram, input_precision=PRECISION) + EPSILON
    ratio = numerator / denominator
    if not LAST:
        d_gram = tile(gram_ptr + sample * (RANK * RANK), RANK, 1, RANK, RANK, RANK, RANK)
        gradient += tl.dot(coefficients * ratio, d_gram, input_precision=PRECISION)
        gradient += tile(after_ptr + own, RANK, 1, rows, RANK, HEIGHT, RANK)
    share = gradient * coefficients / denominator
    divisor = -share * ratio
    put(divisor_ptr + own, divisor, RANK, 1, rows, RANK)
    gradient = gradient * ratio + tl.dot(divisor, gram, input_precision=PRECISION)
    if FIRST:
        share += coefficients * (gradient - tl.sum(gradient * coefficients, axis=1)[:, None])
    else:
        put(before_ptr + own, gradient, RANK, 1, rows, RANK)
    put(share_ptr + sample * share_stride_b + place, share, RANK, 1, rows, RANK)


@triton.jit
def through_bases(
    partial_ptr,
    kept_ptr,
    sums_ptr,
    after_ptr,
    before_ptr,
    slope_ptr,
    gram_ptr,
    kept_stride_b,
    sums_stride_b,
    slope_stride_b,
    depth,
    parts,
    RANK: tl.constexpr,
    WIDTH: tl.constexpr,
    FIRST: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Join what an update of the coefficients sends to its bases, then go through the update that made these.

    A tile of the channels; ``kept`` and ``sums`` are of the update that made them, ``slope`` and ``gram`` the gradients
    of its numerator and, still to be summed over the tiles, of its Gram matrix. The first bases were made by none. The
    gradient ``after`` comes from later steps, ``before`` is that of the bases before the update.
    """
    sample, column, width = tl.program_id(1).to(tl.int64), tl.program_id(0) * WIDTH, depth + RANK
    left = depth - column
    kept_ptr += sample * kept_stride_b + column
    sums_ptr += sample * sums_stride_b
    own = sample * RANK * depth + column
    total, gram = joined(partial_ptr + sample * parts * (RANK * width), column, depth, parts, RANK, WIDTH)
    gram += tl.trans(gram)
    total += tile(after_ptr + own, depth, 1, RANK, left, RANK, WIDTH)
    if FIRST:
        basis = tile(kept_ptr, width, 1, RANK, left, RANK, WIDTH)
        put(before_ptr + own, total + tl.dot(gram, basis, input_precision=PRECISION), depth, 1, RANK, left)
    else:
        basis = tile(kept_ptr + RANK * width, width, 1, RANK, left, RANK, WIDTH)
        total += tl.dot(gram, basis, input_precision=PRECISION)
        before = tile(kept_ptr, width, 1, RANK, left, RANK, WIDTH)
        numerator = tile(sums_ptr + column, width, 1, RANK, left, RANK, WIDTH)
        square = tile(sums_ptr + depth, width, 1, RANK, RANK, RANK, RANK)
        denominator = tl.dot(square, before, input_precision=PRECISION) + EPSILON
        ratio = numerator / denominator
        slope = total * before / denominator
        divisor = -slope * ratio
        put(slope_ptr + sample * slope_stride_b + column, slope, depth, 1, RANK, left)
        total = total * ratio + tl.dot(square, divisor, input_precision=PRECISION)
        put(before_ptr + own, total, depth, 1, RANK, left)
        gram = tl.dot(divisor, tl.trans(before), input_precision=PRECISION)
        gram_ptr += (sample * tl.num_programs(0) + tl.program_id(0)) * (RANK * RANK)
        put(gram_ptr, gram + tl.trans(gram), RANK, 1, RANK, RANK)


@triton.jit
def toward_x(
    kept_ptr,
    slope_ptr,
    coefficients_ptr,
    share_ptr,
    result_ptr,
    result_stride_b,
    result_stride_d,
    result_stride_n,
    kept_stride_b,
    slope_stride_b,
    coefficients_stride_b,
    share_stride_b,
    depth,
    pixels,
    steps,
    RANK: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """A tile of the gradient of x: the outer products of all updates."""
    first, column, sample = tl.program_id(1) * HEIGHT, tl.program_id(0) * WIDTH, tl.program_id(2).to(tl.int64)
    rows, left, start, width = pixels - first, depth - column, first.to(tl.int64), depth + RANK
    share_ptr += sample * share_stride_b + start * RANK
    kept_ptr += sample * kept_stride_b + column
    coefficients_ptr += sample * coefficients_stride_b + start * RANK
    slope_ptr += sample * slope_stride_b + column
    all_pixels = tl.full((), RANK, tl.int64) * pixels
    total = tl.zeros((HEIGHT, WIDTH), tl.float32)
    for _ in range(steps + 1):
        share = tile(share_ptr, RANK, 1, rows, RANK, HEIGHT, RANK)
        basis = tile(kept_ptr, width, 1, RANK, left, RANK, WIDTH)
        total = tl.dot(share, basis, total, input_precision=PRECISION)
        share_ptr += all_pixels
        kept_ptr += RANK * width
    for _ in range(steps):
        coefficients_ptr += all_pixels
        coefficients = tile(coefficients_ptr, RANK, 1, rows, RANK, HEIGHT, RANK)
        slope = tile(slope_ptr, depth, 1, RANK, left, RANK, WIDTH)
        total = tl.dot(coefficients, slope, total, input_precision=PRECISION)
        slope_ptr += RANK * depth
    result_ptr += sample * result_stride_b + column.to(tl.int64) * result_stride_d + start * result_stride_n
    put(result_ptr, total, result_stride_n, result_stride_d, rows, left)
