"""Triton kernels of the statistics and of what is made with them."""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers.conv_norm_act.windows import channels_of, load, place_of, pooled_ptr, store, there


@triton.jit
def over_tile(values, CHANNELS_LAST: tl.constexpr):
    """The sums of a tile's channels."""
    if CHANNELS_LAST:
        return tl.sum(values, axis=0)[None, :]
    else:
        return tl.full((1, 1), tl.sum(tl.sum(values, axis=1), axis=0), tl.float32)


@triton.jit
def moments_of_parts(
    x,
    partial_ptr,
    sizes,
    steps,
    SPANS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
):
    """How many values a part of a channel has, their mean, and the squares of their distances from it, added up.

    Each lane adds up distances from the mean of its first window. That mean is at most sqrt(M / 4) away from the
    lane's own if M is what is asked for, so few digits cancel whatever the values are.
    """
    pivot = tl.zeros((SPANS, WIDTH), tl.float32)
    count, total, squares = pivot, pivot, pivot
    for step in range(steps):
        place = place_of(tl.program_id(0) * steps + step, sizes, SPANS, WIDTH, CHANNELS_LAST)
        corners = load(x, place, WIDTH, CHANNELS_LAST)
        new = tl.zeros((SPANS, WIDTH), tl.float32)
        for i in tl.static_range(4):
            new += there(place, i, WIDTH, CHANNELS_LAST).to(tl.float32)
        if step == 0:
            pivot = (corners[0] + corners[1] + corners[2] + corners[3]) / tl.maximum(new, 1)
        count += new
        for i in tl.static_range(4):
            distance = tl.where(there(place, i, WIDTH, CHANNELS_LAST), corners[i] - pivot, 0)
            total += distance
            squares += distance * distance
    offset = total / tl.maximum(count, 1)
    number = over_tile(count, CHANNELS_LAST)
    mean = over_tile(count * (pivot + offset), CHANNELS_LAST) / tl.maximum(number, 1)
    # Far from 0 this mean is rounded, but the distances from it lose nothing.
    distance = (pivot - mean) + offset
    moved = over_tile(count * distance, CHANNELS_LAST)
    off = moved / tl.maximum(number, 1)
    squares = over_tile(squares - total * offset + count * distance * distance, CHANNELS_LAST) - moved * off
    mean += off
    place = place_of(0, sizes, SPANS, WIDTH, CHANNELS_LAST)
    channel, exists = channels_of(place, WIDTH, CHANNELS_LAST)
    channels, parts = sizes[5], tl.num_programs(0)
    partial_ptr += tl.program_id(0) * channels + channel
    tl.store(partial_ptr, number, mask=exists)
    tl.store(partial_ptr + parts * channels, mean, mask=exists)
    tl.store(partial_ptr + 2 * parts * channels, squares, mask=exists)


@triton.jit
def tile_of_parts(partial_ptr, parts, channels, PARTS: tl.constexpr, CHANNELS: tl.constexpr):
    """One number of all parts of a program's channels, 0 where there is none."""
    part = tl.arange(0, PARTS)[:, None]
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)[None, :]
    return tl.load(partial_ptr + part * channels + channel, mask=(part < parts) & (channel < channels), other=0)


@triton.jit
def join_moments(partial_ptr, mean_ptr, variance_ptr, parts, channels, PARTS: tl.constexpr, CHANNELS: tl.constexpr):
    """Mean and variance of channels, from those of their parts, by Chan's formula."""
    count = tile_of_parts(partial_ptr, parts, channels, PARTS, CHANNELS)
    means = tile_of_parts(partial_ptr + parts * channels, parts, channels, PARTS, CHANNELS)
    squares = tile_of_parts(partial_ptr + 2 * parts * channels, parts, channels, PARTS, CHANNELS)
    number = tl.maximum(tl.sum(count, axis=0), 1)
    mean = tl.sum(count * means, axis=0) / number
    distance = means - mean[None, :]
    off = tl.sum(count * distance, axis=0) / number
    variance = tl.sum(squares + count * distance * distance, axis=0) / number - off * off
    mean += off
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    tl.store(mean_ptr + channel, mean, mask=channel < channels)
    tl.store(variance_ptr + channel, variance, mask=channel < channels)


@triton.jit
def affine_of(
    place, mean_ptr, variance_ptr, weight_ptr, bias_ptr, eps, WIDTH: tl.constexpr, CHANNELS_LAST: tl.constexpr
):
    """Mean, 1 / standard deviation, scale and shift of a tile's channels."""
    channel, exists = channels_of(place, WIDTH, CHANNELS_LAST)
    mean = tl.load(mean_ptr + channel, mask=exists, other=0)
    variance = tl.load(variance_ptr + channel, mask=exists, other=1)
    reciprocal = tl.div_rn(tl.full(variance.shape, 1, tl.float32), tl.sqrt_rn(variance + eps))
    scale = reciprocal * tl.load(weight_ptr + channel, mask=exists, other=0).to(tl.float32)
    return mean, reciprocal, scale, tl.load(bias_ptr + channel, mask=exists, other=0).to(tl.float32)


@triton.jit
def activated(x, residual, mean, scale, shift, DTYPE: tl.constexpr):
    """The map, rounded as it is stored, and what the ReLU was given."""
    before = tl.fma(x - mean, scale, shift)
    value = tl.where(before <= 0, 0, before)
    if residual is not None:
        value += residual
    return value.to(DTYPE), before


@triton.jit
def normalize(
    x,
    residual,
    out,
    pooled,
    mean_ptr,
    variance_ptr,
    weight_ptr,
    bias_ptr,
    eps,
    sizes,
    SPANS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS_LAST: tl.constexpr,
):
    """A tile of the map or of the pooled one, or of both; what is None is left out."""
    DTYPE: tl.constexpr = x[0].dtype.element_ty
    place = place_of(tl.program_id(0), sizes, SPANS, WIDTH, CHANNELS_LAST)
    mean, _, scale, shift = affine_of(place, mean_ptr, variance_ptr, weight_ptr, bias_ptr, eps, WIDTH, CHANNELS_LAST)
    corners = load(x, place, WIDTH, CHANNELS_LAST)
    added = (None, None, None, None)
    if residual is not None:
        added = load(residual, place, WIDTH, CHANNELS_LAST)
    values = ()
    for i in tl.static_range(4):
        value, _ = activated(corners[i], added[i], mean, scale, shift, DTYPE)
        values = values + (value,)  # type: ignore[assignment]  # noqa: RUF005
    if out is not None:
        store(out, place, values, WIDTH, CHANNELS_LAST)
    if pooled is not None:
        most = values[0].to(tl.float32)  # type: ignore[misc]
        for i in tl.static_range(1, 4):
            value = tl.where(there(place, i, WIDTH, CHANNELS_LAST), values[i].to(tl.float32), float("-inf"))
            most = tl.maximum(most, value, propagate_nan=tl.PropagateNan.ALL)
        place_ptr = pooled_ptr(pooled, place, WIDTH, CHANNELS_LAST)
        tl.store(place_ptr, most.to(DTYPE), mask=there(place, 0, WIDTH, CHANNELS_LAST))
