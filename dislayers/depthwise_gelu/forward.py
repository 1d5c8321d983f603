"""Triton kernel of the GELU of a depthwise convolution: lanes go down the rows of a strip and keep three of them."""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers._runtime.approximate import reciprocal
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
def normal(a):
    """The normal distribution and ``exp(-a^2 / 2)``.

    Their quotient below 0 is a polynomial in ``1 / (1 + c |a|)``, fitted for an error of the distribution of at most
    2e-8, 3e-8 of itself where it is above 0.05: less than a float32 rounds ``1 + erf`` by.
    """
    bell = tl.exp2(a * a * -0.7213475204444817)
    x = reciprocal(1 + 0.27887286 * tl.abs(a))
    quotient = -0.10902921 * x + 0.40831263
    quotient = quotient * x - 0.26509069
    quotient = quotient * x + 0.28907412
    quotient = quotient * x + 0.0595687
    quotient = quotient * x + 0.11716444
    tail = quotient * x * bell
    return tl.where(a < 0, tail, 1 - tail), bell


@triton.jit
def gelu(a):
    """``a Phi(a)``."""
    distribution, _ = normal(a)
    return a * distribution


@triton.jit
def convolve_and_activate(
    x,
    out,
    weight_ptr,
    bias_ptr,
    sizes,
    SPANS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
):
    """A strip of the result."""
    place = place_of(sizes, SPANS, WIDTH, CHANNELS_LAST)
    channel, exists = channels_of(place, sizes, WIDTH, CHANNELS_LAST)
    weights = weights_of(weight_ptr, channel, exists)
    bias = tl.load(bias_ptr + channel, mask=exists, other=0).to(tl.float32)
    x_ptr, out_ptr = lanes(x, place, WIDTH, CHANNELS_LAST), lanes(out, place, WIDTH, CHANNELS_LAST)
    above, here = first_rows(x_ptr, x, place)
    sums = begun(above, here, weights, bias)
    for row in range(0, sizes[3], 3):
        a, sums = completed(sums, next_rows(x_ptr, x, row, place), weights, bias)
        put_rows(out_ptr, out, row, place, (gelu(a[0]), gelu(a[1]), gelu(a[2])))
        x_ptr += 3 * x[3]
        out_ptr += 3 * out[3]
