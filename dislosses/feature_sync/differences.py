"""Kernels over all pairs of maps at once, in Triton: distances that look at differences only, their sums, scaling."""

from __future__ import annotations

import triton
import triton.language as tl

from dislayers._runtime.groups import member, pointer
from dislosses.feature_sync.divergence import weight_of


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
def l2(difference):
    """The distance and its derivative."""
    return difference * difference, 2 * difference


@triton.jit
def l1(difference):
    """The distance and its derivative, 0 at 0."""
    sign = tl.where(difference > 0, 1.0, tl.where(difference < 0, -1.0, 0.0))
    return tl.abs(difference), sign


@triton.jit
def smooth_l1(difference):
    """The distance and its derivative; quadratic below 1."""
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
def distances_of_blocks(
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
    """The sum of the distances of a block, and its gradient."""
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
def join(partial_ptr, loss_ptr, firsts, ends, shares, longest, BLOCK: tl.constexpr):
    """The loss of a pair, from the sums of its blocks."""
    pair = tl.program_id(0)
    first = member(firsts, pair)
    end = member(ends, pair)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, longest, BLOCK):
        offs = first + start + tl.arange(0, BLOCK)
        total += tl.load(partial_ptr + offs, mask=offs < end, other=0)
    tl.store(loss_ptr + pair, tl.sum(total, axis=0) * member(shares, pair))


@triton.jit
def scale_blocks(
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
    """The gradients of some blocks, times what came in for their pair."""
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


DISTANCES = {"l2": l2, "l1": l1, "smooth_l1": smooth_l1}
