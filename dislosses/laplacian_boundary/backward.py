"""The gradients of strips, in Triton."""

from __future__ import annotations

import triton
import triton.language as tl

from dislosses.laplacian_boundary.strips import laplacian, place_of, probability, row_of, slope


@triton.jit
def gradients_of_strips(
    gradient_ptr,
    logits_ptr,
    target_ptr,
    result_ptr,
    gradient_stride_b,
    logits_stride_n,
    logits_stride_h,
    target_stride_n,
    target_stride_h,
    planes,
    height,
    width,
    strips,
    rows,
    channels,
    scale,
    EDGE: tl.constexpr,
    KERNEL: tl.constexpr,
    LOGITS: tl.constexpr,
    STRIPS: tl.constexpr,
):
    """The gradient of a strip, as many rows of it as a program has."""
    plane, column, own = place_of(planes, strips, STRIPS)
    columns = tl.join(column, column + 1)
    first = tl.program_id(1) * rows + tl.zeros((1, 1), tl.int32)
    outside: tl.constexpr = float("-inf") if LOGITS else 0.0
    sample = tl.where(plane < planes, plane, 0) // channels
    weight = (tl.load(gradient_ptr + sample * gradient_stride_b) * scale)[:, :, None]
    logits_ptr += plane.to(tl.int64) * logits_stride_n + (first - 2).to(tl.int64) * logits_stride_h + column
    target_ptr += plane.to(tl.int64) * target_stride_n + (first - 2).to(tl.int64) * target_stride_h + column
    result_ptr += (plane.to(tl.int64) * height + first - 4) * width + column
    p_above = tl.zeros((STRIPS, 32, 2), tl.float32)
    p, t_above, t = p_above, p_above, p_above
    e_above, e = p_above, p_above
    inside_columns = (columns >= 0) & (columns < width)
    for step in range(rows + 4):
        row = first - 2 + step
        inside = (row >= 0) & (row < height)
        p_below = probability(row_of(logits_ptr, column, inside, width, outside), LOGITS)
        t_below = row_of(target_ptr, column, inside, width, 0)
        found = laplacian(p_above, p, p_below, KERNEL)
        wanted = laplacian(t_above, t, t_below, KERNEL)
        inside = (row >= 1) & (row <= height)
        e_below = tl.where(inside_columns & inside[:, :, None], slope(found, wanted, EDGE), 0)
        result = laplacian(e_above, e, e_below, KERNEL) * weight
        if LOGITS:
            result *= p_above * (1 - p_above)
        even, odd = tl.split(result.to(result_ptr.dtype.element_ty))
        done = own & (row > first + 1) & (row <= height + 1)
        tl.store(result_ptr, even, mask=done & (column < width))
        tl.store(result_ptr + 1, odd, mask=done & (column + 1 < width))
        p_above, p, t_above, t = p, p_below, t, t_below
        e_above, e = e, e_below
        logits_ptr += logits_stride_h
        target_ptr += target_stride_h
        result_ptr += width
