"""A formula as an op with its gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dislayers._runtime.backend import Implementation
from dislayers._runtime.launch import in_triton
from dislayers._runtime.layout import dense_samples
from dislayers._runtime.library import left_to_compiler, register
from dislayers._runtime.native import missing_kernel
from dislosses._pixel_loss import native, reference
from dislosses._pixel_loss.formula import Arguments, Formula

_ARGUMENTS = "Tensor prediction, Tensor target, float[] options, float? ignore_label, bool probabilities"

LossOfSamples = Callable[[Tensor, Tensor, Arguments], Tensor]

formulas: dict[str, Formula] = {}
"""Every formula that is registered, by name."""


def register_pixel_loss(formula: Formula) -> LossOfSamples:
    """Register the ops ``dislosses::<name>`` and ``dislosses::<name>_backward`` of a formula.

    Returns:
        A function of (prediction (B, ...), target, arguments) that gives the loss (B,) of each sample.
    """
    formulas[formula.name] = formula
    name = f"dislosses::{formula.name}"
    differentiate = register(
        f"{name}_backward(Tensor gradient, Tensor coefficients, {_ARGUMENTS}) -> Tensor",
        partial(reference.backward, formula),
        _fake_backward,
        kernels=[
            in_triton("dislosses._pixel_loss.kernel.launch_backward", formula.name),
            Implementation("native", partial(native.backward, formula), missing_kernel("pixel_loss_backward")),
        ],
    )

    def backward(ctx: Any, gradient: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        if gradient is None:
            return (None,) * 5
        return differentiate(gradient, *ctx.saved_tensors, *ctx.arguments), None, None, None, None

    compute = register(
        f"{name}({_ARGUMENTS}) -> (Tensor, Tensor)",
        partial(reference.forward, formula),
        partial(_fake_forward, formula),
        kernels=[
            in_triton("dislosses._pixel_loss.kernel.launch_forward", formula.name),
            Implementation("native", partial(native.forward, formula), missing_kernel("pixel_loss")),
        ],
        backward=backward,
        setup_context=_save,
    )

    def loss_of_samples(prediction: Tensor, target: Tensor, arguments: Arguments) -> Tensor:
        if left_to_compiler(name, prediction.device):
            return reference.loss(formula, prediction, target.detach(), arguments)
        result: Tensor = compute(prediction, target, *arguments)[0]
        return result

    return loss_of_samples


def _fake_forward(formula: Formula, prediction: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    batch, dtype = prediction.shape[0], torch.promote_types(prediction.dtype, torch.float32)
    losses = prediction.new_empty(batch, dtype=dtype)
    return losses, prediction.new_empty((batch, formula.coefficients), dtype=dtype)


def _fake_backward(gradient: Tensor, coefficients: Tensor, prediction: Tensor, *_: object) -> Tensor:
    return torch.empty_like(dense_samples(prediction))


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    prediction, target, *ctx.arguments = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[1], prediction, target)
