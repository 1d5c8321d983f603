"""What every loss of this kind does around its formula: checks, weights of samples, reduction; and its module."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from dislayers._runtime import check
from dislosses._pixel_loss.formula import Arguments, Formula

Reduction = Literal["mean", "sum", "none"]
Input = Literal["logits", "probabilities"]

REDUCTIONS = ("mean", "sum", "none")
INPUTS = ("logits", "probabilities")


def check_pixels(prediction: Tensor, target: Tensor, input: str, reduction: str, sample_weight: Tensor | None) -> None:
    """Prediction and target of one shape (B, ...), weights (B,), and words that are known."""
    check.one_of("reduction", reduction, REDUCTIONS)
    check.one_of("input", input, INPUTS)
    check.floating(input, prediction)
    check.real("target", target)
    check.matching("target", target, input, prediction)
    if prediction.ndim == 0:
        raise ValueError(f"{input} must have a batch dimension (B, ...), got a scalar")
    if sample_weight is not None:
        check.floating("sample_weight", sample_weight)
        check.shaped("sample_weight", sample_weight, prediction.shape[:1])


def reduced(losses: Tensor, reduction: str, sample_weight: Tensor | None) -> Tensor:
    """Losses (B, ...), each times its sample's weight: as they are, their sum, or their mean."""
    if sample_weight is not None:
        losses = losses * sample_weight.view(-1, *[1] * (losses.ndim - 1))
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


class PixelLoss(nn.Module):
    """A loss of this kind as a module, which :func:`dislosses.deep_supervision_loss` fuses with upsampling.

    Attributes:
        formula: what it computes.
        arguments: of the formula.
        reduction: "mean", "sum" or "none".
    """

    def __init__(self, formula: Formula, arguments: Arguments, reduction: Reduction) -> None:
        super().__init__()
        check.one_of("reduction", reduction, REDUCTIONS)
        self.formula = formula
        self.arguments = arguments
        self.reduction = reduction
