"""A pixel loss on every side output in plain PyTorch, side by side: one upsampled map lives at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dislayers import upsample
from dislayers._runtime.precision import at_least_float32
from dislosses._pixel_loss import reference
from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.op import formulas

Options = Sequence[float]


def upsampled(side: Tensor, target: Tensor) -> Tensor:
    """A side output in the target's resolution, at least in float32."""
    return upsample(at_least_float32(side), target.shape[-2:])


def loss(logits: Sequence[Tensor], target: Tensor, name: str, options: Options, ignore_label: float | None) -> Tensor:
    """The loss (D, B) of every side output and sample, as autograd sees it."""
    arguments = Arguments(options, ignore_label)
    return torch.stack([reference.loss(formulas[name], upsampled(side, target), target, arguments) for side in logits])


def forward(
    logits: Sequence[Tensor], target: Tensor, name: str, options: Options, ignore_label: float | None
) -> tuple[Tensor, Tensor]:
    """The loss (D, B) of every side output and sample, and the coefficients (D, B, N) of its gradient."""
    formula, arguments = formulas[name], Arguments(options, ignore_label)
    pairs = (reference.forward(formula, upsampled(side, target), target, *arguments) for side in logits)
    losses, coefficients = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    return losses, coefficients


def backward(
    gradient: Tensor,
    coefficients: Tensor,
    logits: Sequence[Tensor],
    target: Tensor,
    name: str,
    options: Options,
    ignore_label: float | None,
) -> list[Tensor]:
    """The gradients with respect to the logits, contiguous, for a gradient (D, B) of the losses."""
    formula, arguments = formulas[name], Arguments(options, ignore_label)
    results = []
    for side, of_loss, own in zip(logits, gradient, coefficients, strict=True):
        slope = reference.backward(formula, of_loss, own, upsampled(side, target), target, *arguments)
        results.append(torch.empty(side.shape, dtype=side.dtype, device=side.device).copy_(gathered(slope, side)))
    return results


def gathered(gradient: Tensor, side: Tensor) -> Tensor:
    """The gradient of an upsampled map as that of the side output: the adjoint of the upsampling."""
    if gradient.shape == side.shape:
        return gradient
    size = list(gradient.shape[-2:])
    result: Tensor = torch.ops.aten.upsample_bilinear2d_backward(gradient, size, list(side.shape), False)
    return result
