"""The op ``dislosses::bce``, the loss and the module that people call."""

from __future__ import annotations

from torch import Tensor

from dislosses._pixel_loss.loss import Input, PixelLoss, arguments_of, loss_of_elements
from dislosses.bce.reference import FORMULA
from dislosses.reduction import Reduction

_loss = loss_of_elements(FORMULA)


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
            A target above 1 is refused on CPUs alone.

    Numerics:
        Computed in float32, also from half precision; deterministic; right for any finite logit. A logarithm of a
        probability is at least -100, as in PyTorch's ``binary_cross_entropy``. NaN gives NaN. Backward keeps the
        inputs and one number a sample.

    Source:
        DIS5K paper (Qin et al., 2022), section 4.2.
    """
    return _loss(logits, target, arguments_of((), ignore_label, input), reduction, sample_weight)


class BCELoss(PixelLoss):
    """:func:`bce_loss` as a module."""

    compute = staticmethod(_loss)

    def __init__(
        self, reduction: Reduction = "mean", *, input: Input = "logits", ignore_label: float | None = None
    ) -> None:
        super().__init__(FORMULA, arguments_of((), ignore_label, input), reduction)
