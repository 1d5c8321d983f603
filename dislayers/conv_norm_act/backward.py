"""Triton kernels of the gradient, which find again what the ReLU and the pooling chose."""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers.conv_norm_act.forward import activated, affine_of, over_tile, tile_of_parts
from dislayers.conv_norm_act.windows import channels_of, load, place_of, pooled_ptr, store, there


@triton.jit
def incoming(
    x,
    d_out,
    d_pooled,
    residual,
    place,
    mean,
    scale,
    shift,
    WIDTH: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
):
    """For four corners: x without its mean, the gradient of the map, and the gradient of what the ReLU was given."""
    corners = load(x, place, WIDTH, CHANNELS_LAST)
    added = (None, None, None, None)
    if d_pooled is not None and residual is not None:
        added = load(residual, place, WIDTH, CHANNELS_LAST)
    centred, before, values = (), (), ()
    for i in tl.static_range(4):
        value, given = activated(corners[i], added[i], mean, scale, shift, x[0].dtype.element_ty)
        centred = centred + (corners[i] - mean,)  # type: ignore[assignment]  # noqa: RUF005
        before = before + (given,)  # type: ignore[assignment]  # noqa: RUF005
        values = values + (value.to(tl.float32),)  # type: ignore[assignment]  # noqa: RUF005
    zero = tl.zeros(corners[0].shape, tl.float32)
    outer = (zero, zero, zero, zero)
    if d_out is not None:
        outer = load(d_out, place, WIDTH, CHANNELS_LAST)
    if d_pooled is not None:
        place_ptr = pooled_ptr(d_pooled, place, WIDTH, CHANNELS_LAST)
        pooled = tl.load(place_ptr, mask=there(place, 0, WIDTH, CHANNELS_LAST), other=0).to(tl.float32)
        most, chosen = values[0], tl.zeros(zero.shape, tl.int32)  # type: ignore[misc]
        for i in tl.static_range(1, 4):
            # As in PyTorch, the first of equal values, but the last NaN.
            value = values[i]
            higher = ((value > most) | (value != value)) & there(place, i, WIDTH, CHANNELS_LAST)
            most, chosen = tl.where(higher, value, most), tl.where(higher, i, chosen)
        routed = ()
        for i in tl.static_range(4):
            routed = routed + (outer[i] + tl.where(chosen == i, pooled, 0),)  # type: ignore[assignment]  # noqa: RUF005
        outer = routed  # type: ignore[assignment]
    inner = ()
    for i in tl.static_range(4):
        inner = inner + (tl.where(before[i] <= 0, 0, outer[i]),)  # type: ignore[assignment]  # noqa: RUF005
    return centred, outer, inner


@triton.jit
def sums_of_parts(
    x,
    d_out,
    d_pooled,
    residual,
    d_residual,
    mean_ptr,
    variance_ptr,
    weight_ptr,
    bias_ptr,
    partial_ptr,
    eps,
    sizes,
    steps,
    SPANS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
):
    """Of a part of a channel, the sum of what reaches the normalisation, alone and times x without its mean."""
    place = place_of(0, sizes, SPANS, WIDTH, CHANNELS_LAST)
    mean, _, scale, shift = affine_of(place, mean_ptr, variance_ptr, weight_ptr, bias_ptr, eps, WIDTH, CHANNELS_LAST)
    total = tl.zeros((SPANS, WIDTH), tl.float32)
    weighted = total
    for step in range(steps):
        place = place_of(tl.program_id(0) * steps + step, sizes, SPANS, WIDTH, CHANNELS_LAST)
        centred, outer, inner = incoming(x, d_out, d_pooled, residual, place, mean, scale, shift, WIDTH, CHANNELS_LAST)
        if d_residual is not None:
            store(d_residual, place, outer, WIDTH, CHANNELS_LAST)
        for i in tl.static_range(4):
            total += inner[i]
            weighted += inner[i] * centred[i]
    channel, exists = channels_of(place, WIDTH, CHANNELS_LAST)
    channels, parts = sizes[5], tl.num_programs(0)
    partial_ptr += tl.program_id(0) * channels + channel
    tl.store(partial_ptr, over_tile(total, CHANNELS_LAST), mask=exists)
    tl.store(partial_ptr + parts * channels, over_tile(weighted, CHANNELS_LAST), mask=exists)


@triton.jit
def join_sums(
    partial_ptr,
    variance_ptr,
    weight_ptr,
    d_weight_ptr,
    d_bias_ptr,
    share_ptr,
    eps,
    number,
    parts,
    channels,
    PARTS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """The gradients of weight and bias, and what each x gets through mean and variance: a constant and a slope."""
    total = tl.sum(tile_of_parts(partial_ptr, parts, channels, PARTS, CHANNELS), axis=0)
    weighted = tl.sum(tile_of_parts(partial_ptr + parts * channels, parts, channels, PARTS, CHANNELS), axis=0)
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    exists = channel < channels
    variance = tl.load(variance_ptr + channel, mask=exists, other=1)
    reciprocal = tl.div_rn(tl.full(variance.shape, 1, tl.float32), tl.sqrt_rn(variance + eps))
    scale = reciprocal * tl.load(weight_ptr + channel, mask=exists, other=0).to(tl.float32)
    weighted *= reciprocal
    tl.store(d_weight_ptr + channel, weighted.to(d_weight_ptr.dtype.element_ty), mask=exists)
    tl.store(d_bias_ptr + channel, total.to(d_bias_ptr.dtype.element_ty), mask=exists)
    tl.store(share_ptr + channel, scale * (total / number), mask=exists)
    tl.store(share_ptr + channels + channel, scale * reciprocal * (weighted / number), mask=exists)


@triton.jit
def gradient_of_x(
    x,
    d_out,
    d_pooled,
    residual,
    d_x,
    mean_ptr,
    variance_ptr,
    weight_ptr,
    bias_ptr,
    share_ptr,
    eps,
    sizes,
    SPANS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
):
    """A tile of the gradient of x."""
    place = place_of(tl.program_id(0), sizes, SPANS, WIDTH, CHANNELS_LAST)
    mean, _, scale, shift = affine_of(place, mean_ptr, variance_ptr, weight_ptr, bias_ptr, eps, WIDTH, CHANNELS_LAST)
    channel, exists = channels_of(place, WIDTH, CHANNELS_LAST)
    constant = tl.load(share_ptr + channel, mask=exists, other=0)
    slope = tl.load(share_ptr + sizes[5] + channel, mask=exists, other=0)
    centred, _, inner = incoming(x, d_out, d_pooled, residual, place, mean, scale, shift, WIDTH, CHANNELS_LAST)
    result = ()
    for i in tl.static_range(4):
        result = result + (inner[i] * scale - constant - centred[i] * slope,)  # type: ignore[assignment]  # noqa: RUF005
    store(d_x, place, result, WIDTH, CHANNELS_LAST)
