"""Triton kernel: a program counts a patch's pixels by level and class, chooses and writes the patch."""

from __future__ import annotations

import math
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from dislayers._runtime.launch import ENDLESS, AheadOfTime, Blocks, blocks_for, launch_table
from dislayers._runtime.layout import image_planes
from dislayers.patch_threshold import reference
from dislayers.patch_threshold.reference import STEPS

# By the pixels of a patch. Not tuned on a GPU yet: `python -m dislayers.tune` fills it.
BLOCKS = launch_table(
    "dislayers.patch_threshold",
    "blocks",
    default=[(1 << 10, Blocks(1024, 2)), (ENDLESS, Blocks(4096, 8))],
    cpu=[(ENDLESS, Blocks(1 << 16, 1))],
)


@cache
def levels(dtype: torch.dtype) -> tuple[float, ...]:
    """k / STEPS, from k = 0 on, rounded down to a dtype: its values exceed the one just where they exceed the other.

    Those of uint8 are integers, not yet divided by 255; half precision has those of float32, which holds its values.
    """
    exact = torch.arange(STEPS, dtype=torch.float64) / STEPS
    if dtype == torch.uint8:
        values = torch.arange(256, dtype=torch.float64) / 255
        return tuple((torch.searchsorted(values, exact, right=True) - 1).float().tolist())
    nearest = exact.float()
    return tuple(torch.where(nearest > exact, nearest.nextafter(torch.zeros(())), nearest).tolist())


@triton.jit
def _place(start, probability_stride_h, mask_stride_h, width, SIDE: tl.constexpr, BLOCK: tl.constexpr):
    """Offsets of a stretch of a patch's pixels from its first, in the three images, and which are in the patch."""
    index = start + tl.arange(0, BLOCK)
    row, column = index // SIDE, index % SIDE
    return (
        row * probability_stride_h + column,
        row * mask_stride_h + column,
        row * width + column,
        index < SIDE * SIDE,
    )


@triton.jit
def _level(k, LEVELS: tl.constexpr):
    """``LEVELS[k]`` for a k that is known when the program runs."""
    level = tl.zeros((), tl.float32)
    for i in tl.static_range(1, len(LEVELS)):
        level = tl.where(k == i, LEVELS[i], level)
    return level


@triton.jit
def _share(part, whole):
    """``part / whole`` in float64; 1 where there is nothing."""
    return tl.where(whole > 0, part.to(tl.float64) / tl.maximum(whole, 1).to(tl.float64), 1.0)


@triton.jit
def _choose(counts, NEAREST_HALF: tl.constexpr, BOTH_CLASSES: tl.constexpr, STEPS: tl.constexpr):
    """The best k - 1 and its score, from how many pixels exceed so many levels: (64,), both classes in turn."""
    background, foreground = tl.split(tl.reshape(counts, (32, 2)))
    rejected, missed = tl.cumsum(background, 0), tl.cumsum(foreground, 0)
    positive, pixels = tl.sum(foreground, 0), tl.sum(counts, 0)
    scores = _share(positive - missed, pixels - rejected)
    if BOTH_CLASSES:
        scores = (scores + _share(rejected, pixels - positive + missed)) / 2
    index = tl.arange(0, 32)
    scores = tl.where(index < STEPS - 1, scores, -1.0)
    score = tl.max(scores, 0)
    order = tl.abs(2 * (index + 1) - STEPS) * 32 + index if NEAREST_HALF else index
    first = tl.min(tl.where(scores == score, order, 1 << 30), 0)
    return tl.sum(tl.where(order == first, index, 0), 0), score


@triton.jit
def _patch_threshold_forward(
    probability_ptr,
    mask_ptr,
    threshold_ptr,
    iou_ptr,
    out_ptr,
    probability_stride_n,
    probability_stride_h,
    mask_stride_n,
    mask_stride_h,
    height,
    width,
    LEVELS: tl.constexpr,
    SIDE: tl.constexpr,
    NEAREST_HALF: tl.constexpr,
    BOTH_CLASSES: tl.constexpr,
    LITERAL: tl.constexpr,
    BLOCK: tl.constexpr,
):
    STEPS: tl.constexpr = len(LEVELS)
    patch = tl.program_id(0)
    columns = width // SIDE
    rows = height // SIDE
    image = (patch // columns // rows).to(tl.int64)
    top = (patch // columns % rows).to(tl.int64) * SIDE
    left = patch % columns * SIDE
    probability_ptr += image * probability_stride_n + top * probability_stride_h + left
    mask_ptr += image * mask_stride_n + top * mask_stride_h + left
    out_ptr += (image * height + top) * width + left
    counts = tl.zeros((64,), tl.int32)
    for start in range(0, SIDE * SIDE, BLOCK):
        at, mask_at, _, inside = _place(start, probability_stride_h, mask_stride_h, width, SIDE, BLOCK)
        p = tl.load(probability_ptr + at, mask=inside, other=0).to(tl.float32)
        exceeded = tl.zeros((BLOCK,), tl.int32)
        for k in tl.static_range(1, STEPS):
            exceeded += (p > LEVELS[k]).to(tl.int32)
        truth = tl.load(mask_ptr + mask_at, mask=inside, other=0) != 0
        counts += tl.histogram(2 * exceeded + truth.to(tl.int32), 64, mask=inside)
    k, score = _choose(counts, NEAREST_HALF, BOTH_CLASSES, STEPS)
    if not LITERAL:
        k += 1
    tl.store(threshold_ptr + patch, (k.to(tl.float64) / STEPS).to(tl.float32))
    tl.store(iou_ptr + patch, score.to(tl.float32))
    level = _level(k, LEVELS)
    for start in range(0, SIDE * SIDE, BLOCK):
        at, _, out_at, inside = _place(start, probability_stride_h, mask_stride_h, width, SIDE, BLOCK)
        p = tl.load(probability_ptr + at, mask=inside, other=0).to(tl.float32)
        tl.store(out_ptr + out_at, (p > level).to(tl.uint8), mask=inside)


def launch_patch_threshold(
    probability: Tensor, mask: Tensor, patch_size: int, tie: str, classes: str, literal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`dislayers.patch_threshold.reference.patch_threshold`."""
    if probability.dtype == torch.float64 or probability.numel() == 0:
        return reference.patch_threshold(probability, mask, patch_size, tie, classes, literal)
    *leading, height, width = probability.shape
    threshold = mask.new_empty((*leading, height // patch_size, width // patch_size), dtype=torch.float32)
    iou, found = torch.empty_like(threshold), mask.new_empty(mask.shape, dtype=torch.bool)
    values, truths = image_planes(probability), image_planes(mask.view(torch.uint8))
    blocks = blocks_for(BLOCKS, probability.device, patch_size**2)
    with torch.cuda.device_of(probability):
        _patch_threshold_forward[(threshold.numel(),)](
            values,
            truths,
            threshold,
            iou,
            found.view(torch.uint8),
            *values.stride()[:2],
            *truths.stride()[:2],
            height,
            width,
            **_constants(probability.dtype, patch_size, tie, classes, literal, blocks),
            num_warps=blocks.warps,
            enable_fp_fusion=True,
        )
    return threshold, iou, found


def _constants(
    dtype: torch.dtype, patch_size: int, tie: str, classes: str, literal: bool, blocks: Blocks
) -> dict[str, object]:
    lanes = 32 * blocks.warps
    return {
        "LEVELS": levels(dtype),
        "SIDE": patch_size,
        "NEAREST_HALF": tie == "nearest_half",
        "BOTH_CLASSES": classes == "both",
        "LITERAL": literal,
        "BLOCK": max(min(blocks.elements, triton.next_power_of_2(patch_size**2)), lanes),
    }


def _variant(dtype: torch.dtype, type_: str, patch_size: int, budget: float) -> AheadOfTime:
    types = {"probability_ptr": f"*{type_}", "mask_ptr": "*u8", "out_ptr": "*u8"}
    types |= {"threshold_ptr": "*fp32", "iou_ptr": "*fp32"}
    blocks = blocks_for({"default": BLOCKS["default"]}, torch.device("meta"), patch_size**2)
    constants = _constants(dtype, patch_size, "first", "both", False, blocks)
    arguments = [name for name in _patch_threshold_forward.arg_names if name not in constants]
    return AheadOfTime(
        f"patch_threshold {type_}, patches of {patch_size}",
        _patch_threshold_forward,
        {name: types.get(name, "i32") for name in arguments},
        constants,
        blocks.warps,
        patch_size**2 if patch_size**2 <= blocks.elements else 0,
        budget,
        [name for name in arguments if not name.startswith(("threshold", "iou"))],
    )


AHEAD_OF_TIME = [
    _variant(torch.float32, "fp32", 64, 94),
    _variant(torch.bfloat16, "bf16", 64, 96),
    _variant(torch.uint8, "u8", 64, 97),
    _variant(torch.float32, "fp32", 16, 168),
    _variant(torch.float32, "fp32", 512, math.inf),
]
