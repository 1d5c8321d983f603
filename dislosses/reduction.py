"""What a loss gives: the losses of samples, weighted, or one number of them."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from dislayers._runtime import check

Reduction = Literal["mean", "sum", "none"]
SumReduction = Literal["sum", "none"]

REDUCTIONS: tuple[str, ...] = get_args(Reduction)
SUM_REDUCTIONS: tuple[str, ...] = get_args(SumReduction)


def check_sample_weight(sample_weight: Tensor | None, name: str, samples: Tensor) -> None:
    """None, or a floating number for each sample of another argument (B, ...), on its device."""
    if sample_weight is not None:
        check.floating("sample_weight", sample_weight)
        check.shaped("sample_weight", sample_weight, samples.shape[:1])
        check.beside("sample_weight", sample_weight, name, samples)


def reduced(losses: Tensor, reduction: str, sample_weight: Tensor | None) -> Tensor:
    """Losses (B, ...), each times its sample's weight: as they are, their sum, or their mean."""
    if sample_weight is not None:
        losses = losses * sample_weight.view(-1, *[1] * (losses.ndim - 1))
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()
