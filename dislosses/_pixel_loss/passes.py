"""The passes of any formula over pixels, in Triton: sums of blocks, one program a sample to join them, slopes."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _block(
    prediction_ptr,
    target_ptr,
    prediction_stride_b,
    target_stride_b,
    pixels,
    IGNORE_LABEL: tl.constexpr,
    BLOCK: tl.constexpr,
    ACCURACY: tl.constexpr,
):
    """Predictions and labels of this program's block, which of them count, and which lie in the sample."""
    sample = tl.program_id(1).to(tl.int64)
    start = tl.program_id(0).to(tl.int64) * BLOCK
    offs = tl.arange(0, BLOCK)
    inside = offs < pixels - start
    prediction = tl.load(prediction_ptr + sample * prediction_stride_b + start + offs, mask=inside, other=0)
    target = tl.load(target_ptr + sample * target_stride_b + start + offs, mask=inside, other=0).to(ACCURACY)
    valid = inside
    if IGNORE_LABEL is not None:
        valid = inside & (target != IGNORE_LABEL)
        target = tl.where(valid, target, 0)
    return prediction.to(ACCURACY), target, valid, inside


@triton.jit
def sums_of_blocks(
    prediction_ptr,
    target_ptr,
    partial_ptr,
    prediction_stride_b,
    target_stride_b,
    pixels,
    TERMS: tl.constexpr,
    SUMS: tl.constexpr,
    OPTIONS: tl.constexpr,
    IGNORE_LABEL: tl.constexpr,
    PROBABILITIES: tl.constexpr,
    BLOCK: tl.constexpr,
    ACCURACY: tl.constexpr,
):
    """The sums of a block."""
    prediction, target, valid, _ = _block(
        prediction_ptr, target_ptr, prediction_stride_b, target_stride_b, pixels, IGNORE_LABEL, BLOCK, ACCURACY
    )
    terms = TERMS(prediction, target, OPTIONS, PROBABILITIES)
    place = (tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)) * SUMS
    for i in tl.static_range(SUMS):
        tl.store(partial_ptr + place + i, tl.sum(tl.where(valid, terms[i], 0), axis=0))


@triton.jit
def join(
    partial_ptr,
    loss_ptr,
    coefficients_ptr,
    blocks,
    pixels,
    FINISH: tl.constexpr,
    SUMS: tl.constexpr,
    COEFFICIENTS: tl.constexpr,
    OPTIONS: tl.constexpr,
    BLOCK: tl.constexpr,
    ACCURACY: tl.constexpr,
):
    """The loss of a sample and its coefficients, from the sums of its blocks."""
    sample = tl.program_id(0).to(tl.int64)
    sums = ()
    for i in tl.static_range(SUMS):
        total = tl.zeros((BLOCK,), ACCURACY)
        for start in range(0, blocks, BLOCK):
            offs = start + tl.arange(0, BLOCK)
            total += tl.load(partial_ptr + (sample * blocks + offs) * SUMS + i, mask=offs < blocks, other=0)
        sums = sums + (tl.sum(total, axis=0),)  # type: ignore[assignment]  # noqa: RUF005
    loss, coefficients = FINISH(sums, tl.cast(pixels, ACCURACY), OPTIONS)
    tl.store(loss_ptr + sample, loss)
    for i in tl.static_range(COEFFICIENTS):
        tl.store(coefficients_ptr + sample * COEFFICIENTS + i, coefficients[i])


@triton.jit
def slopes_of_blocks(
    gradient_ptr,
    coefficients_ptr,
    prediction_ptr,
    target_ptr,
    result_ptr,
    gradient_stride_b,
    prediction_stride_b,
    target_stride_b,
    result_stride_b,
    pixels,
    SLOPE: tl.constexpr,
    COEFFICIENTS: tl.constexpr,
    OPTIONS: tl.constexpr,
    IGNORE_LABEL: tl.constexpr,
    PROBABILITIES: tl.constexpr,
    BLOCK: tl.constexpr,
    ACCURACY: tl.constexpr,
):
    """The slopes of a block, times the gradient of the sample's loss."""
    prediction, target, valid, inside = _block(
        prediction_ptr, target_ptr, prediction_stride_b, target_stride_b, pixels, IGNORE_LABEL, BLOCK, ACCURACY
    )
    sample = tl.program_id(1).to(tl.int64)
    gradient = tl.load(gradient_ptr + sample * gradient_stride_b).to(ACCURACY)
    coefficients = ()
    for i in tl.static_range(COEFFICIENTS):
        coefficients = coefficients + (tl.load(coefficients_ptr + sample * COEFFICIENTS + i) * gradient,)  # type: ignore[assignment]  # noqa: RUF005
    slope = SLOPE(prediction, target, coefficients, OPTIONS, PROBABILITIES)
    if IGNORE_LABEL is not None:
        slope = tl.where(valid, slope, 0)
    start = tl.program_id(0).to(tl.int64) * BLOCK
    place = result_ptr + sample * result_stride_b + start + tl.arange(0, BLOCK)
    tl.store(place, slope.to(result_ptr.dtype.element_ty), mask=inside)
