"""Triton kernels: distances and gradients of all pairs of maps in one launch, their sums, the gradients' scaling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from dislayers._runtime.groups import member, pointer
from dislayers._runtime.launch import AheadOfTime, Blocks, BlockTable, blocks_for
from dislayers._runtime.layout import dense_samples, same_layout
from dislosses.feature_sync import divergence
from dislosses.feature_sync.divergence import first_programs, weight_of
from dislosses.feature_sync.reference import scales, share

# Not tuned on a GPU yet: `python -m bench.tune` prints rows for the GPU it runs on.
BLOCKS: BlockTable = {
    "default": [(1 << 22, Blocks(1024, 4)), (1 << 62, Blocks(4096, 8))],
    "cpu": [(1 << 62, Blocks(1 << 14, 4))],
}
_JOINED = 4096
# Blocks of a program that scales: where all is to be multiplied by 1, few programs have to find that out.
_SCALED = 8
# Pairs of one launch: a program looks for its own among them.
_MOST = 16


@triton.jit
def _place(firsts, sizes, BLOCK: tl.constexpr):
    """The pair of this program, its number in it, its sample, and where in the sample its block begins."""
    pair = 0
    for i in tl.static_range(1, len(firsts)):
        pair += (tl.program_id(0) >= firsts[i]).to(tl.int32)
    program = tl.program_id(0) - member(firsts, pair)
    size = member(sizes, pair)
    blocks = tl.cdiv(size, BLOCK)
    return pair, program, (program // blocks).to(tl.int64), (program % blocks).to(tl.int64) * BLOCK, size


@triton.jit
def _l2(difference):
    return difference * difference, 2 * difference


@triton.jit
def _l1(difference):
    sign = tl.where(difference > 0, 1.0, tl.where(difference < 0, -1.0, 0.0))
    return tl.abs(difference), sign


@triton.jit
def _smooth_l1(difference):
    slope = tl.clamp(difference, -1.0, 1.0, propagate_nan=tl.PropagateNan.ALL)
    return slope * (difference - 0.5 * slope), slope


@triton.jit
def _start(pointers, pair, offset, ALIGNED: tl.constexpr):
    """Where a block begins; what is known of a tuple's alignment does not survive the choice of a member."""
    start = pointer(pointers, pair) + offset
    if ALIGNED:
        return tl.multiple_of(start, 16)
    else:
        return start


@triton.jit
def _feature_sync_forward(
    feature_ptrs,
    guide_ptrs,
    gradient_ptrs,
    sample_weight_ptr,
    partial_ptr,
    firsts,
    partial_firsts,
    sizes,
    feature_strides_b,
    guide_strides_b,
    written,
    sample_weight_stride,
    DISTANCE: tl.constexpr,
    WITH_GRADIENTS: tl.constexpr,
    ALIGNED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    pair, program, sample, start, size = _place(firsts, sizes, BLOCK)
    offs = tl.arange(0, BLOCK)
    inside = offs < size - start
    feature_ptr = _start(feature_ptrs, pair, sample * member(feature_strides_b, pair) + start, ALIGNED)
    guide_ptr = _start(guide_ptrs, pair, sample * member(guide_strides_b, pair) + start, ALIGNED)
    feature = tl.load(feature_ptr + offs, mask=inside, other=0).to(tl.float32)
    guide = tl.load(guide_ptr + offs, mask=inside, other=0).to(tl.float32)
    distance, slope = DISTANCE(feature - guide)
    weight = weight_of(sample_weight_ptr, sample_weight_stride, sample)
    tl.store(partial_ptr + member(partial_firsts, pair) + program, tl.sum(distance, axis=0) * weight)
    if WITH_GRADIENTS:
        gradient_ptr = _start(gradient_ptrs, pair, sample * size + start, ALIGNED)
        gradient = slope * (member(written, pair) * weight)
        tl.store(gradient_ptr + offs, gradient.to(gradient_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _feature_sync_join(partial_ptr, loss_ptr, firsts, ends, shares, longest, BLOCK: tl.constexpr):
    pair = tl.program_id(0)
    first = member(firsts, pair)
    end = member(ends, pair)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, longest, BLOCK):
        offs = first + start + tl.arange(0, BLOCK)
        total += tl.load(partial_ptr + offs, mask=offs < end, other=0)
    tl.store(loss_ptr + pair, tl.sum(total, axis=0) * member(shares, pair))


@triton.jit
def _feature_sync_scale(
    gradient_ptrs,
    result_ptrs,
    upstream_ptr,
    firsts,
    sizes,
    places,
    factors,
    upstream_stride,
    IN_PLACE: tl.constexpr,
    ALIGNED: tl.constexpr,
    BLOCKS_EACH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    pair, _, _, start, size = _place(firsts, sizes, BLOCK * BLOCKS_EACH)
    factor = tl.load(upstream_ptr + member(places, pair) * upstream_stride).to(tl.float32) * member(factors, pair)
    gradient_ptr = _start(gradient_ptrs, pair, start, ALIGNED)
    result_ptr = _start(result_ptrs, pair, start, ALIGNED)
    needed = True
    if IN_PLACE:
        needed = factor != 1
    if needed:
        for block in range(BLOCKS_EACH):
            offs = block * BLOCK + tl.arange(0, BLOCK)
            inside = offs < size - start
            gradient = tl.load(gradient_ptr + offs, mask=inside, other=0).to(tl.float32)
            tl.store(result_ptr + offs, (gradient * factor).to(result_ptr.dtype.element_ty), mask=inside)


class _Launch(NamedTuple):
    """Pairs of one launch: their numbers, the first program of each, and the programs of all."""

    pairs: list[int]
    firsts: tuple[int, ...]
    programs: int


def _launches(kinds: Sequence[object], programs: Sequence[int]) -> Iterator[_Launch]:
    """Pairs of one kind together, as many as a launch takes; none without programs."""
    for kind in dict.fromkeys(kinds):
        alike = [pair for pair, other in enumerate(kinds) if other == kind and programs[pair]]
        for start in range(0, len(alike), _MOST):
            pairs = alike[start : start + _MOST]
            *firsts, total = first_programs([programs[pair] for pair in pairs])
            yield _Launch(pairs, tuple(firsts), total)


def launch_feature_sync_forward(
    features: list[Tensor],
    guides: list[Tensor],
    sample_weight: Tensor | None,
    weights: Sequence[float],
    distance: str,
    with_gradients: bool,
    overwrite: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """As :func:`dislosses.feature_sync.reference.forward`."""
    features = [dense_samples(feature) for feature in features]
    guides = [same_layout(guide, feature) for guide, feature in zip(guides, features, strict=True)]
    gradients = [torch.empty_like(feature) for feature in features] if with_gradients else []
    losses = torch.empty(len(features), device=features[0].device)
    write = divergence.write if distance == "kl" else _write_differences
    with torch.cuda.device_of(features[0]):
        partial, counts = write(
            features, guides, gradients, sample_weight, [written for written, _ in scales(features, weights)], distance
        )
        _join(partial, counts, [share(x, weight) for x, weight in zip(features, weights, strict=True)], losses)
    return losses, gradients


def _write_differences(
    features: list[Tensor],
    guides: list[Tensor],
    gradients: list[Tensor],
    sample_weight: Tensor | None,
    written: Sequence[float],
    distance: str,
) -> tuple[Tensor, list[int]]:
    """Write the gradients; give the sums of blocks, and how many each pair has."""
    blocks = blocks_for(BLOCKS, features[0].device, sum(map(torch.numel, features)))
    sizes = [x.numel() // max(1, len(x)) for x in features]
    counts = [len(x) * triton.cdiv(size, blocks.elements) for x, size in zip(features, sizes, strict=True)]
    places = first_programs(counts)
    partial = torch.empty(places[-1], device=features[0].device)
    kinds = [(feature.dtype, guide.dtype) for feature, guide in zip(features, guides, strict=True)]
    for pairs, firsts, programs in _launches(kinds, counts):
        _feature_sync_forward[(programs,)](
            _taken(features, pairs),
            _taken(guides, pairs),
            _taken(gradients or features, pairs),
            sample_weight,
            partial,
            firsts,
            _taken(places, pairs),
            _taken(sizes, pairs),
            tuple(features[pair].stride(0) for pair in pairs),
            tuple(guides[pair].stride(0) for pair in pairs),
            _taken(written, pairs),
            0 if sample_weight is None else sample_weight.stride(0),
            DISTANCE=_DISTANCES[distance],
            WITH_GRADIENTS=bool(gradients),
            ALIGNED=_aligned(tensors[pair] for tensors in (features, guides, gradients or features) for pair in pairs),
            BLOCK=blocks.elements,
            num_warps=blocks.warps,
            enable_fp_fusion=True,
        )
    return partial, counts


def _join(partial: Tensor, counts: Sequence[int], shares: Sequence[float], losses: Tensor) -> None:
    """Losses from the sums of blocks."""
    places = first_programs(counts)
    for start in range(0, len(counts), _MOST):
        firsts, ends = places[start:-1][:_MOST], places[start + 1 :][:_MOST]
        _feature_sync_join[(len(firsts),)](
            partial,
            losses[start:],
            firsts,
            ends,
            tuple(shares[start:][:_MOST]),
            max(counts),
            BLOCK=_JOINED,
            num_warps=8,
        )


def launch_feature_sync_scale(
    gradients: list[Tensor], results: list[Tensor], upstream: Tensor, weights: Sequence[float]
) -> None:
    """Write to results, which may be the gradients, what :func:`dislosses.feature_sync.reference.scale` gives."""
    blocks = blocks_for(BLOCKS, upstream.device, sum(map(torch.numel, gradients)))
    sizes = [gradient.numel() for gradient in gradients]
    factors = [factor for _, factor in scales(gradients, weights)]
    counts = [triton.cdiv(size, blocks.elements * _SCALED) for size in sizes]
    with torch.cuda.device_of(upstream):
        for pairs, firsts, programs in _launches([gradient.dtype for gradient in gradients], counts):
            _feature_sync_scale[(programs,)](
                _taken(gradients, pairs),
                _taken(results, pairs),
                upstream,
                firsts,
                _taken(sizes, pairs),
                tuple(pairs),
                _taken(factors, pairs),
                upstream.stride(0),
                IN_PLACE=results is gradients,
                ALIGNED=_aligned(tensors[pair] for tensors in (gradients, results) for pair in pairs),
                BLOCKS_EACH=_SCALED,
                BLOCK=blocks.elements,
                num_warps=blocks.warps,
                enable_fp_fusion=True,
            )


def _aligned(tensors: Iterable[Tensor]) -> bool:
    """Whether every sample begins at a multiple of 16 bytes."""
    return all(x.data_ptr() % 16 == 0 and (len(x) < 2 or x.stride(0) * x.itemsize % 16 == 0) for x in tensors)


def _taken(values: Sequence[Any], pairs: Sequence[int]) -> tuple[Any, ...]:
    return tuple(values[pair] for pair in pairs)


_DISTANCES = {"l2": _l2, "l1": _l1, "smooth_l1": _smooth_l1}
# IS-Net's maps.
_PAIRS = 6


def _types(kernel: Any, given: dict[str, Any], constants: dict[str, Any]) -> dict[str, Any]:
    """Of the arguments that are no constants; what is not given is "i32"."""
    return {name: given.get(name, "i32") for name in kernel.arg_names if name not in constants}


def _differences_variant(distance: str, feature: str, with_gradients: bool, budget: float) -> AheadOfTime:
    blocks = BLOCKS["default"][-1][1]
    constants = {"sample_weight_ptr": None, "DISTANCE": _DISTANCES[distance], "WITH_GRADIENTS": with_gradients}
    constants |= {"ALIGNED": True, "BLOCK": blocks.elements}
    tuples = ("firsts", "partial_firsts", "sizes", "feature_strides_b", "guide_strides_b")
    given = dict.fromkeys(tuples, ("i32",) * _PAIRS) | {"written": ("fp32",) * _PAIRS, "partial_ptr": "*fp32"}
    given |= dict.fromkeys(("feature_ptrs", "guide_ptrs", "gradient_ptrs"), (feature,) * _PAIRS)
    name = f"feature_sync {distance} {feature[1:]}{', gradient' * with_gradients}"
    aligned = ("feature_ptrs", "guide_ptrs", "gradient_ptrs", "partial_ptr", *tuples[2:])
    types = _types(_feature_sync_forward, given, constants)
    return AheadOfTime(name, _feature_sync_forward, types, constants, blocks.warps, blocks.elements, budget, aligned)


def _scale_variant(gradient: str) -> AheadOfTime:
    blocks = BLOCKS["default"][-1][1]
    constants = {"IN_PLACE": True, "ALIGNED": True, "BLOCKS_EACH": _SCALED, "BLOCK": blocks.elements}
    given = dict.fromkeys(("firsts", "sizes", "places"), ("i32",) * _PAIRS) | {"upstream_ptr": "*fp32"}
    given |= dict.fromkeys(("gradient_ptrs", "result_ptrs"), (gradient,) * _PAIRS) | {"factors": ("fp32",) * _PAIRS}
    types = _types(_feature_sync_scale, given, constants)
    aligned = ("gradient_ptrs", "result_ptrs", "upstream_ptr", "sizes")
    return AheadOfTime(
        f"feature_sync scale {gradient[1:]}", _feature_sync_scale, types, constants, blocks.warps, aligned=aligned
    )


def _join_variant() -> AheadOfTime:
    constants = {"BLOCK": _JOINED}
    given: dict[str, Any] = {"partial_ptr": "*fp32", "loss_ptr": "*fp32", "shares": ("fp32",) * _PAIRS}
    given |= dict.fromkeys(("firsts", "ends"), ("i32",) * _PAIRS)
    types = _types(_feature_sync_join, given, constants)
    return AheadOfTime("feature_sync join", _feature_sync_join, types, constants, 8)


AHEAD_OF_TIME = [
    _differences_variant("l2", "*fp32", True, 22),
    _differences_variant("l2", "*bf16", True, 24),
    _differences_variant("l2", "*fp32", False, 17),
    _differences_variant("l1", "*fp32", True, 26),
    _differences_variant("smooth_l1", "*bf16", True, 26),
    *divergence.AHEAD_OF_TIME,
    _scale_variant("*fp32"),
    _scale_variant("*bf16"),
    _join_variant(),
]
