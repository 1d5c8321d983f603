"""Triton kernel: a program fills a tile of a map, from the clicks that reach it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from dislayers._runtime.launch import ENDLESS, AheadOfTime, Blocks, blocks_for, launch_table
from dislayers._runtime.layout import bool_as_uint8
from dislayers.click_maps import reference

# Not tuned on a GPU yet: `python -m dislayers.tune` fills it.
BLOCKS = launch_table(
    "dislayers.click_maps",
    "blocks",
    default=[(ENDLESS, Blocks(2048, 4))],
    cpu=[(ENDLESS, Blocks(1 << 14, 4))],
)
_WIDTH = 128


@triton.jit
def _least_square(click, first, pixels: tl.constexpr):
    """At most the squared offset of any pixel of a stretch; NaN for one of NaN."""
    offset = tl.where(
        click < first, first - click, tl.where(click > first + (pixels - 1), click - first - (pixels - 1), 0)
    )
    return tl.where(click != click, click, offset * offset)


@triton.jit
def _hyperbolic_tangent(x):
    """tanh of a positive number, without cancellation."""
    decay = tl.exp2(-2.8853900817779268 * x)
    one_less = tl.where(x < 0.04, 2 * x * (1 - x * (1 - x * (0.6666667 - 0.3333333 * x))), 1 - decay)
    root = tl.rsqrt(1 + decay)
    return one_less * (root * root)


@triton.jit
def _encode(squared, radius, squared_reach, ENCODING: tl.constexpr):
    if ENCODING == "disk":
        return tl.where(squared <= squared_reach, 1.0, 0.0)
    elif ENCODING == "distance":
        return _hyperbolic_tangent(tl.sqrt(squared) * (2 / radius))
    else:
        return tl.exp2(squared * (-0.7213475204444817 / (radius * radius)))


@triton.jit
def _click_maps(
    points_ptr,
    maps_ptr,
    points_stride_b,
    points_stride_n,
    points_stride_c,
    count,
    height,
    width,
    tiles_down,
    tiles_across,
    scale,
    radius,
    squared_reach,
    ENCODING: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    tile = tl.program_id(0)
    first_column = tile % tiles_across * COLUMNS
    first_row = tile // tiles_across % tiles_down * ROWS
    map = tile // tiles_across // tiles_down
    points_ptr += (map // 2).to(tl.int64) * points_stride_b + (map % 2 * count).to(tl.int64) * points_stride_n
    row = first_row + tl.arange(0, ROWS)[:, None]
    column = first_column + tl.arange(0, COLUMNS)[None, :]
    least = tl.full((ROWS, COLUMNS), float("inf"), tl.float32)
    for _ in range(count):
        click_row = tl.load(points_ptr).to(tl.float32)
        click_column = tl.load(points_ptr + points_stride_c).to(tl.float32)
        there = (click_row >= 0) | (click_column >= 0) | (click_row != click_row) | (click_column != click_column)
        click_row *= scale
        click_column *= scale
        bound = _least_square(click_row, first_row.to(tl.float32), ROWS)
        bound += _least_square(click_column, first_column.to(tl.float32), COLUMNS)
        if there & ((bound <= squared_reach) | (bound != bound)):
            down = row.to(tl.float32) - click_row
            across = column.to(tl.float32) - click_column
            least = tl.minimum(least, down * down + across * across, propagate_nan=tl.PropagateNan.ALL)
        points_ptr += points_stride_n
    maps_ptr += (map.to(tl.int64) * height + row) * width + column
    encoded = _encode(least, radius, squared_reach, ENCODING)
    tl.store(maps_ptr, encoded, mask=(row < height) & (column < width))


def launch_click_maps(points: Tensor, size: Sequence[int], radius: float, scale: float, encoding: str) -> Tensor:
    """As :func:`dislayers.click_maps.reference.click_maps`."""
    batch, (height, width) = len(points), size
    maps = torch.empty((batch, 2, height, width), dtype=torch.float32, device=points.device)
    if points.dtype == torch.float64 or maps.numel() == 0:
        return reference.click_maps(points, size, radius, scale, encoding)
    points = bool_as_uint8(points)
    blocks, radius = blocks_for(BLOCKS, points.device, maps.numel()), radius * scale
    rows = blocks.elements // _WIDTH
    down, across = triton.cdiv(height, rows), triton.cdiv(width, _WIDTH)
    with torch.cuda.device_of(points):
        _click_maps[(2 * batch * down * across,)](
            points,
            maps,
            *points.stride(),
            points.shape[1] // 2,
            height,
            width,
            down,
            across,
            scale,
            radius,
            reference.squared_reach(radius, encoding),
            **_constants(encoding, blocks),
            num_warps=blocks.warps,
            # A multiply-add rounds once, the official code twice: the edges of disks would differ.
            enable_fp_fusion=False,
        )
    return maps


def _constants(encoding: str, blocks: Blocks) -> dict[str, Any]:
    return {"ENCODING": encoding, "ROWS": blocks.elements // _WIDTH, "COLUMNS": _WIDTH}


def _variant(encoding: str, points: str, budget: float) -> AheadOfTime:
    blocks = BLOCKS["default"][-1][1]
    return AheadOfTime.of(
        f"click_maps {encoding} of {points}, one click",
        _click_maps,
        _constants(encoding, blocks),
        {"points_ptr": f"*{points}"} | dict.fromkeys(("scale", "radius", "squared_reach"), "fp32"),
        blocks.warps,
        aligned=("_ptr", "height", "width"),
        elements=blocks.elements,
        budget=budget,
        fp_fusion=False,
    )


AHEAD_OF_TIME = [
    _variant("disk", "fp32", 25),
    _variant("distance", "fp32", 42),
    _variant("gaussian", "fp32", 26),
    _variant("distance", "i64", 42),
]
