"""Launches of the Triton kernels, and what is compiled ahead of time.

A step reads x twice, for its coefficients and for its bases, forward and backward alike, and writes nothing of its
size; the gradient of x is written once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import triton
from torch import Tensor

from dislayers._runtime.launch import AheadOfTime
from dislayers._runtime.layout import strides_fit
from dislayers._runtime.precision import precision_of_products
from dislayers.nmf import reference
from dislayers.nmf.backward import through_bases, through_coefficients, toward_x
from dislayers.nmf.forward import sum_over_pixels, update_bases, update_coefficients
from dislayers.nmf.tiles import TILES, blocks, constants, launch

RANKS = (16, 32, 64)
# Spans that the pixels are cut into for sums over them, and pixels that one has at least.
_PARTS, _SPAN = 16, 256
# CUDA starts at most 65535 programs along the grid's second axis, where toward_x has tiles of at least 16 pixels.
_MOST_PIXELS = 65535 * 16


def _takes(x: Tensor, rank: int, dtype: torch.dtype, *others: Tensor) -> bool:
    fits = x.numel() > 0 and x.shape[2] <= _MOST_PIXELS and strides_fit(x, *others)
    return fits and rank in RANKS and torch.float64 not in (x.dtype, dtype)


def _sums(x: Tensor, factor: Tensor, left: Tensor, right: Tensor, precision: str) -> Tensor:
    """``[factor^T x^T, left^T right]`` of each span: (B, spans, R, D + R), for three of (B, N, R); D may be 0."""
    (batch, depth, pixels), rank = x.shape, factor.shape[2]
    span = max(_SPAN, triton.cdiv(triton.cdiv(pixels, _PARTS), 64) * 64)
    parts = triton.cdiv(pixels, span)
    partial = torch.empty(batch, parts, rank, depth + rank, dtype=torch.float32, device=x.device)
    launch(
        sum_over_pixels,
        x,
        (blocks(sum_over_pixels, x, precision)[1] + 1, parts, batch),
        rank,
        precision,
        x,
        factor,
        left,
        right,
        partial,
        *x.stride(),
        factor.stride(0),
        left.stride(0),
        right.stride(0),
        depth,
        pixels,
        span,
    )
    return partial


def _update(
    x: Tensor,
    kept: Tensor,
    coefficients: Tensor,
    stride: int,
    steps: tuple[int, int],
    precision: str,
    result: Tensor | None = None,
) -> None:
    """Some updates of coefficients (B, ..., N, R), put at a stride; then the product of the factors fills a result."""
    target = kept[:, 0] if result is None else result
    launch(
        update_coefficients,
        x,
        (blocks(update_coefficients, x, precision)[0], len(x)),
        kept.shape[2],
        precision,
        x,
        kept,
        coefficients,
        target,
        *x.stride(),
        *target.stride(),
        kept.stride(0),
        coefficients.stride(0),
        stride,
        *x.shape[1:],
        *steps,
        LAST=result is not None,
    )


def launch_forward(x: Tensor, bases: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`dislayers.nmf.reference.forward`, which runs for float64 and other ranks."""
    if not _takes(x, bases.shape[2], bases.dtype):
        return reference.forward(x, bases, steps)
    (batch, depth, pixels), rank, precision = x.shape, bases.shape[2], precision_of_products(x)
    kept, sums = reference.kept_by_step(x, bases, steps)
    basis, gram = reference.split(kept)
    result, coefficients = torch.empty_like(x), kept.new_empty(2, batch, pixels, rank)
    there_and_back = coefficients.stride(0), -coefficients.stride(0)
    tiles = blocks(update_bases, x, precision)[1]
    start = bases.to(kept.dtype).contiguous()
    with torch.cuda.device_of(x):
        basis[:, 0] = start.mT
        torch.sum(_sums(start.mT[:, :0], start, start, start, precision), 1, out=gram[:, 0])
        for step in range(steps):
            _update(x, kept, coefficients[step % 2], there_and_back[step % 2], (step, step + 1), precision)
            updated = coefficients[1 - step % 2]
            partial = _sums(x, updated, updated, updated, precision)
            grams = kept.new_empty(batch, tiles, rank, rank)
            launch(
                update_bases,
                x,
                (tiles, batch),
                rank,
                precision,
                partial,
                kept[:, step],
                sums[:, step],
                grams,
                kept.stride(0),
                sums.stride(0),
                depth,
                partial.shape[1],
            )
            torch.sum(grams, 1, out=gram[:, step + 1])
        _update(x, kept, coefficients[steps % 2], there_and_back[steps % 2], (steps, steps + 1), precision, result)
    return result, kept, sums


def launch_backward(gradient: Tensor, x: Tensor, kept: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`dislayers.nmf.reference.backward`, which runs for float64 and other ranks."""
    if not _takes(x, kept.shape[2], kept.dtype, gradient):
        return reference.backward(gradient, x, kept, sums)
    (batch, depth, pixels), (count, rank), precision = x.shape, kept.shape[1:3], precision_of_products(x)
    result = torch.empty_like(x)
    coefficients, shares = (kept.new_empty(batch, n, pixels, rank) for n in (count + 1, count))
    slopes, d_gram = kept.new_empty(batch, count - 1, rank, depth), kept
    d_before, d_after, divisors = kept.new_empty(3, batch, pixels, rank)
    across, tiles = blocks(through_coefficients, x, precision)[0], blocks(through_bases, x, precision)[1]
    with torch.cuda.device_of(x):
        _update(x, kept, coefficients, coefficients.stride(1), (0, count), precision)
        updated = coefficients[:, -1]
        d_bases = _sums(gradient, updated, updated, updated, precision)[..., :depth].sum(1)
        for step in reversed(range(count)):
            before, share, first, last = coefficients[:, step], shares[:, step], step == 0, step == count - 1
            slope, outer = (kept, gradient) if last else (slopes[:, step], kept[:, 0])
            launch(
                through_coefficients,
                x,
                (across, batch),
                rank,
                precision,
                x,
                kept[:, step],
                slope,
                d_gram,
                before,
                d_after,
                d_before,
                share,
                divisors,
                outer,
                *x.stride(),
                *outer.stride(),
                kept.stride(0),
                slope.stride(0),
                before.stride(0),
                share.stride(0),
                depth,
                pixels,
                FIRST=first,
                LAST=last,
            )
            d_before, d_after = d_after, d_before
            partial = _sums(x, share, before, divisors, precision)
            made, d_made, grams = max(step - 1, 0), torch.empty_like(d_bases), kept.new_empty(batch, tiles, rank, rank)
            launch(
                through_bases,
                x,
                (tiles, batch),
                rank,
                precision,
                partial,
                kept[:, made],
                kept if first else sums[:, made],
                d_bases,
                d_made,
                kept if first else slopes[:, made],
                grams,
                kept.stride(0),
                sums.stride(0),
                slopes.stride(0),
                depth,
                partial.shape[1],
                FIRST=first,
            )
            d_bases, d_gram = d_made, d_gram if first else grams.sum(1)
        rows, columns = blocks(toward_x, x, precision)
        launch(
            toward_x,
            x,
            (columns, rows, batch),
            rank,
            precision,
            kept,
            slopes if count > 1 else kept,
            coefficients,
            shares,
            result,
            *result.stride(),
            kept.stride(0),
            slopes.stride(0),
            coefficients.stride(0),
            shares.stride(0),
            depth,
            pixels,
            count - 1,
        )
    return result, d_bases.mT.contiguous()


def _variants(map_: str, precision: str) -> Iterator[AheadOfTime]:
    """The kernels for contiguous maps, pixels side by side; those that take no map are the same for all."""
    kernels: tuple[tuple[str, Any, dict[str, bool]], ...] = (
        ("coefficients", update_coefficients, {"LAST": False}),
        ("coefficients and product", update_coefficients, {"LAST": True}),
        ("sums", sum_over_pixels, {}),
        ("through coefficients", through_coefficients, {"FIRST": False, "LAST": False}),
        ("through last coefficients", through_coefficients, {"FIRST": False, "LAST": True}),
        ("toward x", toward_x, {}),
        ("bases", update_bases, {}),
        ("through bases", through_bases, {"FIRST": False}),
    )
    side_by_side = dict.fromkeys(("x_stride_n", "outer_stride_n", "result_stride_n"), 1)
    maps = dict.fromkeys(("x_ptr", "outer_ptr", "result_ptr"), f"*{map_}")
    for name, kernel, flags in kernels[: None if map_ == "fp32" else -2]:
        (_, tile), *_ = TILES[precision][kernel]["default"]
        chosen = constants(kernel, tile, 64, precision) | side_by_side | flags
        ends = ("_ptr", "_stride_b", "_stride_d", "_stride_step", "depth", "pixels", "span")
        yield AheadOfTime.of(f"nmf {name} {map_} {precision}", kernel, chosen, maps, tile.warps, aligned=ends)


AHEAD_OF_TIME = [
    variant
    for map_, precision in (("bf16", "tf32"), ("fp32", "tf32"), ("fp32", "tf32x3"))
    for variant in _variants(map_, precision)
]
