"""What launches the Triton kernels: all pairs of maps of one dtype together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from dislayers._runtime.launch import ENDLESS, AheadOfTime, Blocks, blocks_for, launch_table
from dislayers._runtime.layout import dense_samples, same_layout
from dislosses.feature_sync import divergence, reference
from dislosses.feature_sync.differences import DISTANCES, distances_of_blocks, join, scale_blocks
from dislosses.feature_sync.divergence import first_programs
from dislosses.feature_sync.reference import scales, share
from dislosses.precision import dtype_of_losses

# Not tuned on a GPU yet: `python -m dislayers.tune` fills it.
BLOCKS = launch_table(
    "dislosses.feature_sync",
    "differences",
    default=[(1 << 22, Blocks(1024, 4)), (ENDLESS, Blocks(4096, 8))],
    cpu=[(ENDLESS, Blocks(1 << 14, 4))],
)
_JOINED = 4096
# Blocks of a program that scales: where all is to be multiplied by 1, few programs have to find that out.
_SCALED = 8
# Pairs of one launch: a program looks for its own among them.
_MOST = 16


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


def launch_forward(
    features: list[Tensor],
    guides: list[Tensor],
    sample_weight: Tensor | None,
    weights: Sequence[float],
    distance: str,
    with_gradients: bool,
    overwrite: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """As :func:`dislosses.feature_sync.reference.forward`."""
    if dtype_of_losses(features) == torch.float64:
        return reference.forward(features, guides, sample_weight, weights, distance, with_gradients)
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
        distances_of_blocks[(programs,)](
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
            DISTANCE=DISTANCES[distance],
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
        join[(len(firsts),)](
            partial,
            losses[start:],
            firsts,
            ends,
            tuple(shares[start:][:_MOST]),
            max(counts),
            BLOCK=_JOINED,
            num_warps=8,
        )


def launch_scale(gradients: list[Tensor], upstream: Tensor, weights: Sequence[float]) -> list[Tensor]:
    """As :func:`dislosses.feature_sync.reference.scale`."""
    if dtype_of_losses(gradients) == torch.float64:
        return reference.scale(gradients, upstream, weights)
    results = [torch.empty_like(gradient) for gradient in gradients]
    _scale(gradients, results, upstream, weights)
    return results


def launch_scale_in_place(gradients: list[Tensor], upstream: Tensor, weights: Sequence[float]) -> None:
    """As :func:`dislosses.feature_sync.reference.scale_in_place`."""
    if dtype_of_losses(gradients) == torch.float64:
        return reference.scale_in_place(gradients, upstream, weights)
    _scale(gradients, gradients, upstream, weights)
    torch.autograd.graph.increment_version(gradients)


def _scale(gradients: list[Tensor], results: list[Tensor], upstream: Tensor, weights: Sequence[float]) -> None:
    blocks = blocks_for(BLOCKS, upstream.device, sum(map(torch.numel, gradients)))
    sizes = [gradient.numel() for gradient in gradients]
    factors = [factor for _, factor in scales(gradients, weights)]
    counts = [triton.cdiv(size, blocks.elements * _SCALED) for size in sizes]
    with torch.cuda.device_of(upstream):
        for pairs, firsts, programs in _launches([gradient.dtype for gradient in gradients], counts):
            scale_blocks[(programs,)](
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


# IS-Net's maps.
_PAIRS = 6


_WHOLE = BLOCKS["default"][-1][1]


def _variant(distance: str, feature: str, with_gradients: bool, budget: float) -> AheadOfTime:
    constants = {"sample_weight_ptr": None, "DISTANCE": DISTANCES[distance], "WITH_GRADIENTS": with_gradients}
    numbers = ("firsts", "partial_firsts", "sizes", "feature_strides_b", "guide_strides_b")
    types: dict[str, str | tuple[str, ...]] = dict.fromkeys(numbers, ("i32",) * _PAIRS)
    types |= dict.fromkeys(("feature_ptrs", "guide_ptrs", "gradient_ptrs"), (f"*{feature}",) * _PAIRS)
    return AheadOfTime.of(
        f"feature_sync {distance} {feature}{', gradient' * with_gradients}",
        distances_of_blocks,
        constants | {"ALIGNED": True, "BLOCK": _WHOLE.elements},
        types | {"written": ("fp32",) * _PAIRS},
        _WHOLE.warps,
        aligned=("_ptr", "_ptrs", "sizes", "_strides_b"),
        elements=_WHOLE.elements,
        budget=budget,
    )


def _scale_variant(gradient: str) -> AheadOfTime:
    types: dict[str, str | tuple[str, ...]] = dict.fromkeys(("firsts", "sizes", "places"), ("i32",) * _PAIRS)
    types |= dict.fromkeys(("gradient_ptrs", "result_ptrs"), (f"*{gradient}",) * _PAIRS)
    return AheadOfTime.of(
        f"feature_sync scale {gradient}",
        scale_blocks,
        {"IN_PLACE": True, "ALIGNED": True, "BLOCKS_EACH": _SCALED, "BLOCK": _WHOLE.elements},
        types | {"factors": ("fp32",) * _PAIRS},
        _WHOLE.warps,
        aligned=("_ptr", "_ptrs", "sizes"),
    )


def _join_variant() -> AheadOfTime:
    types = dict.fromkeys(("firsts", "ends"), ("i32",) * _PAIRS) | {"shares": ("fp32",) * _PAIRS}
    return AheadOfTime.of("feature_sync join", join, {"BLOCK": _JOINED}, types, 8, aligned=())


AHEAD_OF_TIME = [
    _variant("l2", "fp32", True, 22),
    _variant("l2", "bf16", True, 24),
    _variant("l2", "fp32", False, 17),
    _variant("l1", "fp32", True, 26),
    _variant("smooth_l1", "bf16", True, 26),
    *divergence.AHEAD_OF_TIME,
    _scale_variant("fp32"),
    _scale_variant("bf16"),
    _join_variant(),
]
