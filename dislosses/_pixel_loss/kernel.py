"""Triton kernels of any formula: one pass for the sums of a block, one program a sample to join them, one pass for the
gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from dislayers._runtime.launch import AheadOfTime, Blocks, BlockTable, blocks_for
from dislayers._runtime.layout import dense_samples, same_layout
from dislosses._pixel_loss.formula import Arguments

# Not tuned on a GPU yet: `python -m bench.tune` prints rows for the GPU it runs on.
BLOCKS: BlockTable = {
    "default": [(1 << 18, Blocks(1024, 4)), (1 << 62, Blocks(4096, 8))],
    "cpu": [(1 << 62, Blocks(4096, 4))],
}
_JOINED = 1024


class Formula(NamedTuple):
    """A formula in Triton; the parts are ``triton.jit`` functions.

    Attributes:
        terms: (prediction, target, OPTIONS, PROBABILITIES) to a tuple of what a pixel adds to each sum.
        finish: (sums, pixels, OPTIONS) to the loss and a tuple of coefficients.
        slope: (prediction, target, coefficients, OPTIONS, PROBABILITIES) to the derivative at a pixel.
        sums: how many terms there are.
        coefficients: how many of those there are.
    """

    terms: Any
    finish: Any
    slope: Any
    sums: int = 1
    coefficients: int = 1


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
def _forward(
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
    prediction, target, valid, _ = _block(
        prediction_ptr, target_ptr, prediction_stride_b, target_stride_b, pixels, IGNORE_LABEL, BLOCK, ACCURACY
    )
    terms = TERMS(prediction, target, OPTIONS, PROBABILITIES)
    place = (tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)) * SUMS
    for i in tl.static_range(SUMS):
        tl.store(partial_ptr + place + i, tl.sum(tl.where(valid, terms[i], 0), axis=0))


@triton.jit
def _join(
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
def _backward(
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


def _prepared(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor, int, Blocks]:
    prediction = dense_samples(prediction)
    target = same_layout(target, prediction)
    if target.dtype == torch.bool:
        target = target.view(torch.uint8)
    pixels = prediction[0].numel() if len(prediction) else 0
    return prediction, target, pixels, blocks_for(BLOCKS, prediction.device, prediction.numel())


def constants(arguments: Arguments) -> dict[str, Any]:
    """What a kernel is compiled for: arguments do not change during a training."""
    return {
        "OPTIONS": tuple(float(option) for option in arguments.options),
        "IGNORE_LABEL": arguments.ignore_label,
        "PROBABILITIES": arguments.probabilities,
    }


def accuracy(prediction: Tensor) -> Any:
    """What a kernel computes in."""
    return tl.float64 if prediction.dtype == torch.float64 else tl.float32


def launch_forward(formula: Formula, prediction: Tensor, target: Tensor, *packed: Any) -> tuple[Tensor, Tensor]:
    """As :func:`dislosses._pixel_loss.reference.forward`."""
    prediction, target, pixels, blocks = _prepared(prediction, target)
    batch, dtype = len(prediction), torch.promote_types(prediction.dtype, torch.float32)
    programs, chosen = triton.cdiv(pixels, blocks.elements), constants(Arguments(*packed))
    partial = torch.empty((batch, programs, formula.sums), dtype=dtype, device=prediction.device)
    if partial.numel():
        with torch.cuda.device_of(prediction):
            _forward[(programs, batch)](
                prediction,
                target,
                partial,
                prediction.stride(0),
                target.stride(0),
                pixels,
                TERMS=formula.terms,
                SUMS=formula.sums,
                BLOCK=blocks.elements,
                ACCURACY=accuracy(prediction),
                **chosen,
                num_warps=blocks.warps,
                enable_fp_fusion=True,
            )
    return joined(formula, partial, pixels, chosen["OPTIONS"])


def joined(formula: Formula, partial: Tensor, pixels: int, options: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """The loss (...) of each sample and its coefficients (..., N), from the sums (..., blocks, S) of its blocks."""
    *samples, blocks, _ = partial.shape
    losses, coefficients = partial.new_empty(samples), partial.new_empty((*samples, formula.coefficients))
    if losses.numel():
        with torch.cuda.device_of(partial):
            _join[(losses.numel(),)](
                partial,
                losses,
                coefficients,
                blocks,
                pixels,
                FINISH=formula.finish,
                SUMS=formula.sums,
                COEFFICIENTS=formula.coefficients,
                OPTIONS=options,
                BLOCK=_JOINED,
                ACCURACY=accuracy(partial),
                num_warps=4,
                enable_fp_fusion=True,
            )
    return losses, coefficients


def launch_backward(
    formula: Formula, gradient: Tensor, coefficients: Tensor, prediction: Tensor, target: Tensor, *packed: Any
) -> Tensor:
    """As :func:`dislosses._pixel_loss.reference.backward`."""
    prediction, target, pixels, blocks = _prepared(prediction, target)
    result = torch.empty_like(prediction)
    if result.numel():
        with torch.cuda.device_of(prediction):
            _backward[(triton.cdiv(pixels, blocks.elements), len(prediction))](
                gradient,
                coefficients,
                prediction,
                target,
                result,
                gradient.stride(0),
                prediction.stride(0),
                target.stride(0),
                result.stride(0),
                pixels,
                SLOPE=formula.slope,
                COEFFICIENTS=formula.coefficients,
                BLOCK=blocks.elements,
                ACCURACY=accuracy(prediction),
                **constants(Arguments(*packed)),
                num_warps=blocks.warps,
                enable_fp_fusion=True,
            )
    return result


def ahead_of_time(
    name: str, formula: Formula, budgets: dict[tuple[str, str, str], float], arguments: Arguments
) -> list[AheadOfTime]:
    """The kernels of a formula for the static proof.

    Args:
        name: of the loss.
        formula: in Triton.
        budgets: instructions an element by ("forward" or "backward", type of the logits, type of the target).
        arguments: of the formula.
    """
    blocks, chosen = BLOCKS["default"][-1][1], constants(arguments) | {"ACCURACY": tl.float32}
    counts = {"SUMS": formula.sums, "COEFFICIENTS": formula.coefficients}
    parts = {"TERMS": formula.terms, "SLOPE": formula.slope, "FINISH": formula.finish}

    def variant(title: str, kernel: Any, types: dict[str, str], block: int, warps: int, **proof: Any) -> AheadOfTime:
        known = chosen | counts | parts | {"BLOCK": block}
        own = {name: value for name, value in known.items() if name in kernel.arg_names}
        arguments = [name for name in kernel.arg_names if name not in own]
        signature = {name: types.get(name, "*fp32" if name.endswith("_ptr") else "i32") for name in arguments}
        whole = [a for a in arguments if a.endswith(("_ptr", "_stride_b", "pixels")) and a != "gradient_stride_b"]
        return AheadOfTime(f"{name} {title}", kernel, signature, own, warps, aligned=whole, **proof)

    kernels = {"forward": _forward, "backward": _backward}
    variants = [
        variant(
            f"{direction} {logits} {target}",
            kernels[direction],
            {"prediction_ptr": f"*{logits}", "target_ptr": f"*{target}", "result_ptr": f"*{logits}"},
            *blocks,
            elements=blocks.elements,
            budget=budget,
        )
        for (direction, logits, target), budget in budgets.items()
    ]
    return [*variants, variant("join", _join, {}, _JOINED, 4)]
