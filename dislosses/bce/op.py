"""The op ``dislosses::bce``, the loss and the module that people call."""

from __future__ import annotations

from torch import Tensor

from dislosses._pixel_loss import reference
from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.loss import Input, PixelLoss, Reduction, check_pixels, reduced
from dislosses._pixel_loss.op import register_pixel_loss
from dislosses.bce.reference import FORMULA

_losses_of_samples = register_pixel_loss(FORMULA)


def bce_loss(
    logits: Tensor,
    target: Tensor,
    reduction: Reduction = "mean",
    *,
    input: Input = "logits",
    ignore_label: float | None = None,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross entropy: ``-(t log p + (1 - t) log(1 - p))`` with ``p = sigmoid(logits)``.

    Args:
        logits: (B, ...), floating.
        target: same shape; bool, integer or floating, in [0, 1] (soft labels) or ignore_label. It gets no gradient.
        reduction: "mean" or "sum" over all elements, or "none": one value an element.
        input: "probabilities" if logits are probabilities in [0, 1], as the official IS-Net gives them.
        ignore_label: elements with this target give 0; they count in the mean, as in RITM's official code.
        sample_weight: (B,), floating, a factor for each sample.

    Returns:
        A float32 scalar (float64 from float64), or a tensor of the logits' shape for "none".

    Raises:
        TypeError: logits or sample_weight is not floating, or target is complex or no tensor.
        ValueError: shapes or devices differ, logits has no dimension, or reduction or input is unknown.

    Numerics:
        Computed in float32, also from half precision; deterministic; right for any finite logit. A logarithm of a
        probability is at least -100, as in PyTorch's ``binary_cross_entropy``. NaN gives NaN. Backward keeps the
        inputs and one number a sample.

    Source:
        DIS5K paper (Qin et al., 2022), section 4.2.
    """
    check_pixels(logits, target, input, reduction, sample_weight)
    arguments = Arguments((), ignore_label, input == "probabilities")
    if reduction == "none":
        return reduced(reference.elements(FORMULA, logits, target.detach(), arguments), reduction, sample_weight)
    losses = reduced(_losses_of_samples(logits, target, arguments), reduction, sample_weight)
    return losses * logits[0].numel() if reduction == "sum" and len(logits) else losses


class BCELoss(PixelLoss):
    """:func:`bce_loss` as a module."""

    def __init__(
        self, reduction: Reduction = "mean", *, input: Input = "logits", ignore_label: float | None = None
    ) -> None:
        super().__init__(FORMULA, Arguments((), ignore_label, input == "probabilities"), reduction)
        self.input = input
        self.ignore_label = ignore_label

    def forward(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """The loss of logits against target, shapes as in :func:`bce_loss`."""
        return bce_loss(
            logits,
            target,
            self.reduction,
            input=self.input,
            ignore_label=self.ignore_label,
            sample_weight=sample_weight,
        )
