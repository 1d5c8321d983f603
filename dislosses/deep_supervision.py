"""Deep supervision: a pixel loss on every side output, upsampled to the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dislayers import upsample
from dislosses.bce import bce_loss
from dislosses.precision import at_least_float32

PixelLoss = Callable[[Tensor, Tensor], Tensor]


def deep_supervision_loss(
    logits: Sequence[Tensor],
    target: Tensor,
    loss: PixelLoss = bce_loss,
    weights: Sequence[float] | None = None,
    reduction: str = "sum",
) -> Tensor:
    """Weighted sum over side outputs of their loss: ``sum_d w_d loss(upsample(logits_d), target)``.

    Args:
        logits: maps (B, 1, h, w) at their own resolutions, floating, the finest first.
        target: (B, 1, H, W), bool or floating in [0, 1].
        loss: a loss of (logits, target) that gives a scalar.
        weights: one a side output; all 1 by default.
        reduction: "sum", or "none" (one weighted value a side output).

    Returns:
        A float32 scalar (float64 from float64), or (len(logits),) for "none".

    Raises:
        ValueError: there are no logits, weights are not as many, or reduction is unknown.

    Numerics:
        The logits, not the probabilities, are resized (bilinear, ``align_corners=False``), in float32 or float64.

    Source:
        DIS5K paper (Qin et al., 2022), L_sg in section 4.2; U²-Net (Qin et al., 2020), equation 1.
    """
    if not logits:
        raise ValueError("logits must hold at least one side output, got none")
    if weights is not None and len(weights) != len(logits):
        raise ValueError(f"weights must be one a side output: expected {len(logits)}, got {len(weights)}")
    if reduction not in ("sum", "none"):
        raise ValueError(f"reduction must be sum or none, got {reduction!r}")
    losses = [loss(upsample(at_least_float32(side), target.shape[-2:]), target) for side in logits]
    if weights is not None:
        losses = [weight * value for weight, value in zip(weights, losses, strict=True)]
    stacked = torch.stack(losses)
    return stacked.sum() if reduction == "sum" else stacked


class DeepSupervisionLoss(nn.Module):
    """:func:`deep_supervision_loss` as a module."""

    def __init__(
        self, loss: PixelLoss = bce_loss, weights: Sequence[float] | None = None, reduction: str = "sum"
    ) -> None:
        super().__init__()
        self.loss = loss
        self.weights = weights
        self.reduction = reduction

    def forward(self, logits: Sequence[Tensor], target: Tensor) -> Tensor:
        """The loss of logits against target, shapes as in :func:`deep_supervision_loss`."""
        return deep_supervision_loss(logits, target, self.loss, self.weights, self.reduction)
