"""The sums of strips, and one program a sample to join them, in Triton."""

from __future__ import annotations

import triton
import triton.language as tl

from dislosses.laplacian_boundary.strips import laplacian, loss, place_of, probability, row_of


@triton.jit
def sums_of_strips(
    logits_ptr,
    target_ptr,
    partial_ptr,
    logits_stride_n,
    logits_stride_h,
    target_stride_n,
    target_stride_h,
    planes,
    height,
    width,
    strips,
    rows,
    EDGE: tl.constexpr,
    KERNEL: tl.constexpr,
    LOGITS: tl.constexpr,
    STRIPS: tl.constexpr,
):
    """The sum of the losses of a strip, as many rows of it as a program has."""
    plane, column, own = place_of(planes, strips, STRIPS)
    columns = tl.join(column, column + 1)
    first = tl.program_id(1) * rows + tl.zeros((1, 1), tl.int32)
    outside: tl.constexpr = float("-inf") if LOGITS else 0.0
    logits_ptr += plane.to(tl.int64) * logits_stride_n + (first - 1).to(tl.int64) * logits_stride_h + column
    target_ptr += plane.to(tl.int64) * target_stride_n + (first - 1).to(tl.int64) * target_stride_h + column
    p_above = tl.zeros((STRIPS, 32, 2), tl.float32)
    p, t_above, t = p_above, p_above, p_above
    total = p_above
    own = own[:, :, None] & (columns < width)
    for step in range(rows + 2):
        row = first - 1 + step
        inside = (row >= 0) & (row < height)
        p_below = probability(row_of(logits_ptr, column, inside, width, outside), LOGITS)
        t_below = row_of(target_ptr, column, inside, width, 0)
        found = laplacian(p_above, p, p_below, KERNEL)
        wanted = laplacian(t_above, t, t_below, KERNEL)
        counted = (row > first) & (row <= height)
        total += tl.where(own & counted[:, :, None], loss(found, wanted, EDGE), 0)
        p_above, p, t_above, t = p, p_below, t, t_below
        logits_ptr += logits_stride_h
        target_ptr += target_stride_h
    strip = tl.program_id(0) * STRIPS + tl.arange(0, STRIPS)
    place = strip.to(tl.int64) * tl.num_programs(1) + tl.program_id(1)
    tl.store(partial_ptr + place, tl.sum(tl.sum(total, axis=2), axis=1), mask=strip < planes * strips)


@triton.jit
def join(partial_ptr, loss_ptr, parts, pixels, BLOCK: tl.constexpr):
    """The loss of a sample, from the sums of its strips."""
    sample = tl.program_id(0).to(tl.int64)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, parts, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        total += tl.load(partial_ptr + sample * parts + offs, mask=offs < parts, other=0)
    tl.store(loss_ptr + sample, tl.sum(total, axis=0) / pixels)
