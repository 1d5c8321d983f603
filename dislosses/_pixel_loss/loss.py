"""What every loss of this kind does around its formula: checks, weights of samples, reduction; and its module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from torch import Tensor, nn

from dislayers._runtime import check
from dislosses._pixel_loss import reference
from dislosses._pixel_loss.formula import Arguments, Formula
from dislosses._pixel_loss.op import register_pixel_loss
from dislosses.reduction import REDUCTIONS, Reduction, check_sample_weight, reduced

Input = Literal["logits", "probabilities"]
Loss = Callable[[Tensor, Tensor, Arguments, str, Tensor | None], Tensor]

INPUTS: tuple[str, ...] = get_args(Input)


def arguments_of(options: Sequence[float], ignore_label: float | None, input: str) -> Arguments:
    """The arguments of a formula as its kernels take them."""
    check.one_of("input", input, INPUTS)
    label = None if ignore_label is None else float(ignore_label)
    return Arguments(tuple(float(option) for option in options), label, input == "probabilities")


def check_pixels(
    prediction: Tensor, target: Tensor, arguments: Arguments, reduction: str, sample_weight: Tensor | None
) -> None:
    """Prediction and target of one shape (B, ...), weights (B,), and a reduction that is known."""
    name = "probabilities" if arguments.probabilities else "logits"
    check.one_of("reduction", reduction, REDUCTIONS)
    check.floating(name, prediction)
    check.real("target", target)
    check.matching("target", target, name, prediction)
    if prediction.ndim == 0:
        raise ValueError(f"{name} must have a batch dimension (B, ...), got a scalar")
    check_sample_weight(sample_weight, name, prediction)


def loss_of_elements(formula: Formula) -> Loss:
    """A loss whose samples give the mean of their first term: "none" is one value an element, "sum" their sum."""
    losses_of_samples = register_pixel_loss(formula)

    def loss(
        prediction: Tensor, target: Tensor, arguments: Arguments, reduction: str, sample_weight: Tensor | None
    ) -> Tensor:
        check_pixels(prediction, target, arguments, reduction, sample_weight)
        if reduction == "none":
            terms = reference.terms_of_pixels(formula, prediction, target.detach(), arguments)
            return reduced(terms[0], "none", sample_weight)
        losses = reduced(losses_of_samples(prediction, target, arguments), reduction, sample_weight)
        return losses * prediction[0].numel() if reduction == "sum" and len(prediction) else losses

    return loss


def loss_of_planes(formula: Formula) -> Loss:
    """A loss of each channel of each sample: "none" is (B, C) for (B, C, H, W), (B,) where there are no channels."""
    losses_of_samples = register_pixel_loss(formula)

    def loss(
        prediction: Tensor, target: Tensor, arguments: Arguments, reduction: str, sample_weight: Tensor | None
    ) -> Tensor:
        check_pixels(prediction, target, arguments, reduction, sample_weight)
        if prediction.ndim < 4:
            return reduced(losses_of_samples(prediction, target, arguments), reduction, sample_weight)
        losses = losses_of_samples(prediction.flatten(0, 1), target.flatten(0, 1), arguments)
        return reduced(losses.view(prediction.shape[:2]), reduction, sample_weight)

    return loss


class PixelLoss(nn.Module):
    """A loss of this kind as a module, which :func:`dislosses.deep_supervision_loss` fuses with upsampling.

    A subclass has ``compute``, which is called with prediction, target, arguments, reduction and sample_weight.

    Attributes:
        formula: what it computes.
        arguments: of the formula.
        reduction: "mean", "sum" or "none".
    """

    compute: Any

    def __init__(self, formula: Formula, arguments: Arguments, reduction: Reduction) -> None:
        super().__init__()
        check.one_of("reduction", reduction, REDUCTIONS)
        self.formula = formula
        self.arguments = arguments
        self.reduction = reduction

    @property
    def is_its_formula(self) -> bool:
        """Whether formula, arguments and reduction say all that this loss computes."""
        return True

    def forward(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """The loss of logits against target; shapes and errors as those of the function of this loss."""
        loss: Tensor = self.compute(logits, target, self.arguments, self.reduction, sample_weight)
        return loss
