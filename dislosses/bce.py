"""Binary cross entropy from logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dislosses.precision import at_least_float32


def bce_loss(logits: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Binary cross entropy: ``-(t log p + (1 - t) log(1 - p))`` with ``p = sigmoid(logits)``.

    Args:
        logits: any shape, floating.
        target: same shape; bool, or floating in [0, 1] (soft labels).
        reduction: "mean", "sum" or "none" (one value an element).

    Returns:
        A float32 scalar (float64 from float64), or a tensor of the logits' shape for "none".

    Raises:
        ValueError: the shapes differ, or reduction is none of the three.
        TypeError: target is neither bool nor floating.

    Numerics:
        Computed in float32, also from half precision. Exact for any logit; the official code's ``BCELoss`` takes
        probabilities, which saturate beyond a logit of 17 and are clamped at a loss of 100.

    Source:
        DIS5K paper (Qin et al., 2022), section 4.2.
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be mean, sum or none, got {reduction!r}")
    if logits.shape != target.shape:
        raise ValueError(f"target must have the shape of logits, got {tuple(target.shape)} for {tuple(logits.shape)}")
    if not (target.dtype == torch.bool or target.is_floating_point()):
        raise TypeError(f"target must be bool or floating in [0, 1], got {target.dtype}")
    logits = at_least_float32(logits)
    return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction=reduction)


class BCELoss(nn.Module):
    """:func:`bce_loss` as a module."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of logits against target, shapes as in :func:`bce_loss`."""
        return bce_loss(logits, target, self.reduction)
