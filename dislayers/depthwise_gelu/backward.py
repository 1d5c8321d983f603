"""Triton kernels of the gradient: through the GELU to the convolution and its parameters, then through it to x.

What reaches the convolution is stored between the two, in the dtype of x: its eight neighbours lie in other lanes, and
to find it three times over would take more instructions than its bytes take time.
"""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers.depthwise_gelu.forward import normal
from dislayers.depthwise_gelu.strips import (
    begun,
    channels_of,
    completed,
    first_rows,
    lanes,
    next_rows,
    place_of,
    put_rows,
    weights_of,
)


@triton.jit
def slope(a):
    """The derivative of the GELU."""
    distribution, bell = normal(a)
    return distribution + 0.3989422804014327 * a * bell


@triton.jit
def rows_of(row_ptr, feature_map, row, place):
    """Three rows of a strip in float32, 0 beyond the image."""
    first = tl.load(row_ptr, mask=row < place[4], other=0)
    second = tl.load(row_ptr + feature_map[3], mask=row + 1 < place[4], other=0)
    third = tl.load(row_ptr + 2 * feature_map[3], mask=row + 2 < place[4], other=0)
    return first.to(tl.float32), second.to(tl.float32), third.to(tl.float32)


@triton.jit
def with_products(products, value, above, here, below):
    """Sums of products with three rows of three columns and of the value, with those of one more row."""
    return (
        products[0] + value * above[0],
        products[1] + value * above[1],
        products[2] + value * above[2],
        products[3] + value * here[0],
        products[4] + value * here[1],
        products[5] + value * here[2],
        products[6] + value * below[0],
        products[7] + value * below[1],
        products[8] + value * below[2],
        products[9] + value,
    )


@triton.jit
def through_gelu(
    x,
    gradient,
    d_a,
    weight_ptr,
    bias_ptr,
    partial_ptr,
    sizes,
    SPANS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
):
    """A strip of the convolution's gradient, and its share of those of nine weights and of the bias."""
    place = place_of(sizes, SPANS, WIDTH, CHANNELS_LAST)
    channel, exists = channels_of(place, sizes, WIDTH, CHANNELS_LAST)
    weights = weights_of(weight_ptr, channel, exists)
    bias = tl.load(bias_ptr + channel, mask=exists, other=0).to(tl.float32)
    x_ptr, d_a_ptr = lanes(x, place, WIDTH, CHANNELS_LAST), lanes(d_a, place, WIDTH, CHANNELS_LAST)
    gradient_ptr = lanes(gradient, place, WIDTH, CHANNELS_LAST)
    zero = tl.zeros((SPANS, WIDTH), tl.float32)
    products = (zero, zero, zero, zero, zero, zero, zero, zero, zero, zero)
    above, here = first_rows(x_ptr, x, place)
    sums = begun(above, here, weights, bias)
    for row in range(0, sizes[3], 3):
        incoming = rows_of(gradient_ptr, gradient, row, place)
        below = next_rows(x_ptr, x, row, place)
        a, sums = completed(sums, below, weights, bias)
        values = (incoming[0] * slope(a[0]), incoming[1] * slope(a[1]), incoming[2] * slope(a[2]))
        put_rows(d_a_ptr, d_a, row, place, values)
        products = with_products(products, values[0], above, here, below[0])
        products = with_products(products, values[1], here, below[0], below[1])
        products = with_products(products, values[2], below[0], below[1], below[2])
        above, here = below[1], below[2]
        x_ptr += 3 * x[3]
        gradient_ptr += 3 * gradient[3]
        d_a_ptr += 3 * d_a[3]
    part = tl.program_id(0) if CHANNELS_LAST else place[7]
    partial_ptr += part.to(tl.int64) * 10 * sizes[6] + channel
    for i in tl.static_range(10):
        total = tl.sum(products[i], axis=0 if CHANNELS_LAST else 1, keep_dims=True)
        tl.store(partial_ptr + i * sizes[6], total, mask=exists)


@triton.jit
def through_convolution(
    d_a,
    d_x,
    weight_ptr,
    sizes,
    SPANS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
):
    """A strip of the gradient of x: the convolution with each kernel turned by half a turn."""
    place = place_of(sizes, SPANS, WIDTH, CHANNELS_LAST)
    channel, exists = channels_of(place, sizes, WIDTH, CHANNELS_LAST)
    w = weights_of(weight_ptr, channel, exists)
    turned = (w[8], w[7], w[6], w[5], w[4], w[3], w[2], w[1], w[0])
    d_a_ptr, d_x_ptr = lanes(d_a, place, WIDTH, CHANNELS_LAST), lanes(d_x, place, WIDTH, CHANNELS_LAST)
    above, here = first_rows(d_a_ptr, d_a, place)
    sums = begun(above, here, turned, 0.0)
    for row in range(0, sizes[3], 3):
        values, sums = completed(sums, next_rows(d_a_ptr, d_a, row, place), turned, 0.0)
        put_rows(d_x_ptr, d_x, row, place, values)
        d_a_ptr += 3 * d_a[3]
        d_x_ptr += 3 * d_x[3]
