"""The op ``dislosses::normalized_focal`` with its gradient, the loss and the module that people call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dislayers._runtime import check
from dislayers._runtime.backend import Implementation
from dislayers._runtime.launch import triton_missing
from dislayers._runtime.layout import dense_samples
from dislayers._runtime.library import left_to_compiler, register
from dislosses.normalized_focal import reference

_ARGUMENTS = "Tensor logits, Tensor target, float alpha, float gamma, float ignore_label"


def _triton_forward(*arguments: Any) -> tuple[Tensor, Tensor]:
    from dislosses.normalized_focal.kernel import launch_normalized_focal_forward

    return launch_normalized_focal_forward(*arguments)


def _triton_backward(*arguments: Any) -> Tensor:
    from dislosses.normalized_focal.kernel import launch_normalized_focal_backward

    return launch_normalized_focal_backward(*arguments)


def _fake_forward(logits: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return logits.new_empty(logits.shape[:1], dtype=dtype), logits.new_empty(logits.shape[:1], dtype=dtype)


def _fake_backward(gradient: Tensor, divisor: Tensor, logits: Tensor, *_: object) -> Tensor:
    return torch.empty_like(dense_samples(logits))


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    logits, target, *ctx.constants = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1], logits, target)


def _backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return _normalized_focal_backward(gradient, *ctx.saved_tensors, *ctx.constants), None, None, None, None


_normalized_focal_backward = register(
    f"dislosses::normalized_focal_backward(Tensor gradient, Tensor divisor, {_ARGUMENTS}) -> Tensor",
    reference.backward,
    _fake_backward,
    kernels=[Implementation("triton", _triton_backward, triton_missing)],
)
_normalized_focal = register(
    f"dislosses::normalized_focal({_ARGUMENTS}) -> (Tensor, Tensor)",
    reference.forward,
    _fake_forward,
    kernels=[Implementation("triton", _triton_forward, triton_missing)],
    backward=_backward,
    setup_context=_save,
)


def normalized_focal_loss(
    logits: Tensor,
    target: Tensor,
    alpha: float = 0.5,
    gamma: float = 2.0,
    ignore_label: float = -1,
    reduction: str = "mean",
) -> Tensor:
    """Focal loss divided by its own weights: ``sum(-w (1 - pt)^gamma log pt) / sum((1 - pt)^gamma)`` for each sample.

    ``pt = 1 - |t - p|`` with ``p = sigmoid(logits)``; ``w`` is alpha where ``t > 0.5``, else ``1 - alpha``. Sums run
    over a sample's pixels that are not ignored.

    Args:
        logits: (B, ...), floating.
        target: same shape; bool, integer or floating, in [0, 1] (soft labels) or ignore_label. It gets no gradient.
        alpha: weight of the positive pixels, in [0, 1].
        gamma: exponent, at least 0; larger values look more at wrong pixels.
        ignore_label: pixels with this target do not count.
        reduction: "mean" or "sum" over the samples, or "none": (B,).

    Returns:
        A float32 scalar (float64 from float64), or (B,) for "none". A sample whose pixels are all ignored has loss 0.

    Raises:
        TypeError: logits is not floating, or target is complex or no tensor.
        ValueError: shapes or devices differ, logits has no dimension, alpha, gamma or reduction is out of range.

    Numerics:
        Computed in float32, also from half precision; deterministic; no host synchronisation. The divisor is taken as
        a constant by the gradient, as in the official code. ``log pt`` is that of ``pt + 1e-12``, with ``pt`` free of
        cancellation: the official float32 value jumps where a wrong logit exceeds 17. Backward keeps the inputs and
        one number a sample.

    Source:
        RITM (Sofiiuk et al., 2021), section 3.3, and the official code's NormalizedFocalLossSigmoid.
    """
    check.one_of("reduction", reduction, ("mean", "sum", "none"))
    check.floating("logits", logits)
    check.real("target", target)
    check.matching("target", target, "logits", logits)
    check.within("alpha", alpha, 0, 1)
    check.within("gamma", gamma, 0, float("inf"))
    if logits.ndim == 0:
        raise ValueError("logits must have a batch dimension (B, ...), got a scalar")
    constants = (float(alpha), float(gamma), float(ignore_label))
    if left_to_compiler("dislosses::normalized_focal", logits.device):
        losses = reference.normalized_focal(logits, target.detach(), *constants)
    else:
        losses = _normalized_focal(logits, target, *constants)[0]
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


class NormalizedFocalLoss(nn.Module):
    """:func:`normalized_focal_loss` as a module."""

    def __init__(
        self, alpha: float = 0.5, gamma: float = 2.0, ignore_label: float = -1, reduction: str = "mean"
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.gamma = gamma
        self.ignore_label = ignore_label
        self.reduction = reduction

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of logits against target, shapes as in :func:`normalized_focal_loss`."""
        return normalized_focal_loss(logits, target, self.alpha, self.gamma, self.ignore_label, self.reduction)
