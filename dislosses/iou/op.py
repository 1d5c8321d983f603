"""The op ``dislosses::iou``, the loss and the module that people call."""

from __future__ import annotations

from torch import Tensor

from dislosses._pixel_loss.loss import Input, PixelLoss, arguments_of, loss_of_planes
from dislosses.iou.reference import FORMULA
from dislosses.reduction import Reduction

_loss = loss_of_planes(FORMULA)


def iou_loss(
    logits: Tensor,
    target: Tensor,
    reduction: Reduction = "mean",
    *,
    input: Input = "logits",
    ignore_label: float | None = None,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Soft intersection over union: ``1 - (sum(p t) + 1) / (sum(p + t - p t) + 1)`` with ``p = sigmoid(logits)``.

    Sums run over the pixels of one channel of one sample.

    Args:
        logits: (B, C, H, W), or (B, ...) of at most three dimensions, which have no channels; floating.
        target: same shape; bool, integer or floating, in [0, 1] (soft labels) or ignore_label. It gets no gradient.
        reduction: "mean" or "sum" over samples and channels, or "none": (B, C), (B,) where there are no channels.
        input: "probabilities" if logits are probabilities in [0, 1].
        ignore_label: pixels with this target are in no sum.
        sample_weight: (B,), floating, a factor for each sample.

    Returns:
        A float32 scalar (float64 from float64), or a tensor (B, C) or (B,) for "none". All ignored gives 0.

    Raises:
        TypeError: logits or sample_weight is not floating, or target is complex or no tensor.
        ValueError: shapes or devices differ, logits has no dimension, or reduction or input is unknown.
            A target above 1 is refused on CPUs alone.

    Numerics:
        Computed in float32, also from half precision; deterministic; right for any logit, infinite ones too. A NaN that
        is not ignored makes its plane NaN. Backward keeps the inputs and two numbers a plane.

    Source:
        DIS-SAM's official code.
    """
    return _loss(logits, target, arguments_of((), ignore_label, input), reduction, sample_weight)


class IoULoss(PixelLoss):
    """:func:`iou_loss` as a module."""

    compute = staticmethod(_loss)

    def __init__(
        self, reduction: Reduction = "mean", *, input: Input = "logits", ignore_label: float | None = None
    ) -> None:
        super().__init__(FORMULA, arguments_of((), ignore_label, input), reduction)
