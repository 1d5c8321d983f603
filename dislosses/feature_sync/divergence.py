"""Triton kernel of "kl": the divergence of the softmax over channels, and its gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import torch
import triton
import triton.language as tl
from torch import Tensor

from dislayers._runtime.launch import ENDLESS, AheadOfTime, Blocks, blocks_for, launch_table

# Not tuned on a GPU yet. A program takes this many channels of its pixels at a time.
BLOCKS = launch_table(
    "dislosses.feature_sync",
    "divergence",
    default=[(ENDLESS, Blocks(1024, 4))],
    cpu=[(ENDLESS, Blocks(1 << 16, 4))],
)
_CHANNELS = 32


@triton.jit
def weight_of(sample_weight_ptr, stride, sample):
    """What the elements of a sample count for."""
    if sample_weight_ptr is None:
        return 1.0
    else:
        return tl.load(sample_weight_ptr + sample * stride).to(tl.float32)


@triton.jit
def _add_exponentials(most, total, values):
    """The maximum so far and the sum of exponentials relative to it, with some more channels."""
    larger = tl.maximum(most, tl.max(values, axis=0))
    return larger, total * tl.exp(most - larger) + tl.sum(tl.exp(values - larger[None, :]), axis=0)


@triton.jit
def _kl_forward(
    feature_ptr,
    guide_ptr,
    gradient_ptr,
    sample_weight_ptr,
    partial_ptr,
    channels,
    pixels,
    feature_stride_b,
    feature_stride_c,
    feature_stride_p,
    guide_stride_b,
    guide_stride_c,
    guide_stride_p,
    gradient_stride_b,
    gradient_stride_c,
    gradient_stride_p,
    sample_weight_stride,
    written,
    WITH_GRADIENTS: tl.constexpr,
    CHANNELS: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """Logarithms of the sums of a block of pixels over its channels, then ``q (log q - log p)`` and ``p - q``."""
    sample = tl.program_id(1).to(tl.int64)
    offs_p = (tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS))[None, :]
    offs_c = tl.arange(0, CHANNELS)[:, None]
    feature_ptr += sample * feature_stride_b + offs_p * feature_stride_p
    guide_ptr += sample * guide_stride_b + offs_p * guide_stride_p
    most_f = tl.full((PIXELS,), float("-inf"), tl.float32)
    most_g = most_f
    sum_f = tl.zeros((PIXELS,), tl.float32)
    sum_g = sum_f
    for start in range(0, channels, CHANNELS):
        c = (start + offs_c).to(tl.int64)
        inside = (c < channels) & (offs_p < pixels)
        feature = tl.load(feature_ptr + c * feature_stride_c, mask=inside, other=0).to(tl.float32)
        guide = tl.load(guide_ptr + c * guide_stride_c, mask=inside, other=0).to(tl.float32)
        most_f, sum_f = _add_exponentials(most_f, sum_f, tl.where(c < channels, feature, float("-inf")))
        most_g, sum_g = _add_exponentials(most_g, sum_g, tl.where(c < channels, guide, float("-inf")))
    normalizer_f = (most_f + tl.log(sum_f))[None, :]
    normalizer_g = (most_g + tl.log(sum_g))[None, :]
    weight = weight_of(sample_weight_ptr, sample_weight_stride, sample)
    total = tl.zeros((CHANNELS, PIXELS), tl.float32)
    for start in range(0, channels, CHANNELS):
        c = (start + offs_c).to(tl.int64)
        inside = (c < channels) & (offs_p < pixels)
        feature = tl.load(feature_ptr + c * feature_stride_c, mask=inside, other=0).to(tl.float32)
        guide = tl.load(guide_ptr + c * guide_stride_c, mask=inside, other=0).to(tl.float32)
        log_p = feature - normalizer_f
        log_q = guide - normalizer_g
        q = tl.exp(log_q)
        total += tl.where(inside, q * (log_q - log_p), 0)
        if WITH_GRADIENTS:
            place = gradient_ptr + sample * gradient_stride_b + c * gradient_stride_c + offs_p * gradient_stride_p
            gradient = (tl.exp(log_p) - q) * (written * weight)
            tl.store(place, gradient.to(gradient_ptr.dtype.element_ty), mask=inside)
    place = partial_ptr + tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)
    tl.store(place, tl.sum(tl.sum(total, axis=0), axis=0) * weight)


def first_programs(counts: Sequence[int]) -> tuple[int, ...]:
    """Where the programs of each pair begin, and the number of all."""
    return tuple(accumulate(counts, initial=0))


def write(
    features: list[Tensor],
    guides: list[Tensor],
    gradients: list[Tensor],
    sample_weight: Tensor | None,
    written: Sequence[float],
    _: str,
) -> tuple[Tensor, list[int]]:
    """Write the gradients, one launch a pair; give the sums of blocks, and how many each pair has."""
    blocks = blocks_for(BLOCKS, features[0].device, sum(map(torch.numel, features)))
    pixels = blocks.elements // _CHANNELS
    grids = [(triton.cdiv(math.prod(x.shape[2:]) if x.numel() else 0, pixels), len(x)) for x in features]
    counts = [math.prod(grid) for grid in grids]
    places = first_programs(counts)
    partial = torch.empty(places[-1], device=features[0].device)
    for pair, grid in enumerate(grids):
        if not counts[pair]:
            continue
        feature, guide = _columns(features[pair]), _columns(guides[pair])
        gradient = _columns(gradients[pair]) if gradients else feature
        _kl_forward[grid](
            feature,
            guide,
            gradient,
            sample_weight,
            partial[places[pair] :],
            *feature.shape[1:],
            *feature.stride(),
            *guide.stride(),
            *gradient.stride(),
            0 if sample_weight is None else sample_weight.stride(0),
            written[pair],
            WITH_GRADIENTS=bool(gradients),
            CHANNELS=_CHANNELS,
            PIXELS=pixels,
            num_warps=blocks.warps,
            enable_fp_fusion=True,
        )
        if gradients and gradient.data_ptr() != gradients[pair].data_ptr():
            gradients[pair].copy_(gradient.view_as(gradients[pair]))
    return partial, counts


def _columns(maps: Tensor) -> Tensor:
    """(B, C, ...) as (B, C, P) in the order of memory: a view, or a copy where channels lie between the pixels."""
    order = sorted(range(2, maps.ndim), key=maps.stride, reverse=True)
    return maps.permute(0, 1, *order)[..., None].flatten(2)


def _variant(feature: str, channels_last: bool) -> AheadOfTime:
    blocks, pointers = BLOCKS["default"][-1][1], ("feature_ptr", "guide_ptr", "gradient_ptr")
    constants = {"sample_weight_ptr": None, "WITH_GRADIENTS": True, "CHANNELS": _CHANNELS}
    constants |= {"PIXELS": blocks.elements // _CHANNELS}
    constants |= {f"{name}_stride_{'c' if channels_last else 'p'}": 1 for name in ("feature", "guide", "gradient")}
    return AheadOfTime.of(
        f"feature_sync kl {feature}{', channels last' * channels_last}",
        _kl_forward,
        constants,
        dict.fromkeys(pointers, f"*{feature}") | {"written": "fp32"},
        blocks.warps,
        aligned=(*pointers, "channels", "pixels", "_stride_b", "_stride_c", "_stride_p"),
    )


AHEAD_OF_TIME = [_variant("fp32", channels_last=False), _variant("bf16", channels_last=True)]
