"""Any formula in Triton, and what launches its kernels."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from dislayers._runtime.launch import ENDLESS, AheadOfTime, Blocks, blocks_for, launch_table
from dislayers._runtime.layout import bool_as_uint8, dense_samples, same_layout
from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.passes import join, slopes_of_blocks, sums_of_blocks

# Not tuned on a GPU yet: `python -m dislayers.tune` fills it.
BLOCKS = launch_table(
    "dislosses._pixel_loss",
    "blocks",
    default=[(1 << 18, Blocks(1024, 4)), (ENDLESS, Blocks(4096, 8))],
    cpu=[(ENDLESS, Blocks(4096, 4))],
)
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


def formula_of(name: str) -> Formula:
    """The formula in ``kernel.py`` of the loss's room."""
    formula: Formula = import_module(f"dislosses.{name}.kernel").FORMULA
    return formula


def _prepared(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor, int, Blocks]:
    prediction = dense_samples(prediction)
    target = bool_as_uint8(same_layout(target, prediction))
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


def launch_forward(name: str, prediction: Tensor, target: Tensor, *packed: Any) -> tuple[Tensor, Tensor]:
    """As :func:`dislosses._pixel_loss.reference.forward`, of the loss of a name."""
    formula = formula_of(name)
    prediction, target, pixels, blocks = _prepared(prediction, target)
    batch, dtype = len(prediction), torch.promote_types(prediction.dtype, torch.float32)
    programs, chosen = triton.cdiv(pixels, blocks.elements), constants(Arguments(*packed))
    partial = torch.empty((batch, programs, formula.sums), dtype=dtype, device=prediction.device)
    if partial.numel():
        with torch.cuda.device_of(prediction):
            sums_of_blocks[(programs, batch)](
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
            join[(losses.numel(),)](
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
    name: str, gradient: Tensor, coefficients: Tensor, prediction: Tensor, target: Tensor, *packed: Any
) -> Tensor:
    """As :func:`dislosses._pixel_loss.reference.backward`, of the loss of a name."""
    formula = formula_of(name)
    prediction, target, pixels, blocks = _prepared(prediction, target)
    result = torch.empty_like(prediction)
    if result.numel():
        with torch.cuda.device_of(prediction):
            slopes_of_blocks[(triton.cdiv(pixels, blocks.elements), len(prediction))](
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
    blocks, known = BLOCKS["default"][-1][1], constants(arguments) | {"ACCURACY": tl.float32}
    known |= {"SUMS": formula.sums, "COEFFICIENTS": formula.coefficients}
    known |= {"TERMS": formula.terms, "SLOPE": formula.slope, "FINISH": formula.finish}
    kernels = {"forward": sums_of_blocks, "backward": slopes_of_blocks}
    # The gradient of a sample's loss may be one number for all samples.
    aligned = ("_ptr", "prediction_stride_b", "target_stride_b", "result_stride_b", "pixels")
    variants = [
        AheadOfTime.of(
            f"{name} {direction} {logits} {target}",
            kernels[direction],
            known | {"BLOCK": blocks.elements},
            {"prediction_ptr": f"*{logits}", "target_ptr": f"*{target}", "result_ptr": f"*{logits}"},
            blocks.warps,
            aligned=aligned,
            elements=blocks.elements,
            budget=budget,
        )
        for (direction, logits, target), budget in budgets.items()
    ]
    return [*variants, AheadOfTime.of(f"{name} join", join, known | {"BLOCK": _JOINED}, {}, 4, aligned=aligned)]
