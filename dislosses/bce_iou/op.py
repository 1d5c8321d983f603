"""The op ``dislosses::bce_iou``, the loss and the module that people call."""

from __future__ import annotations

from torch import Tensor

from dislayers._runtime import check
from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.loss import Input, PixelLoss, arguments_of, loss_of_planes
from dislosses.bce_iou.reference import FORMULA
from dislosses.reduction import Reduction

_loss = loss_of_planes(FORMULA)


def _arguments(bce_weight: float, iou_weight: float, ignore_label: float | None, input: str) -> Arguments:
    check.within("bce_weight", bce_weight, 0, float("inf"))
    check.within("iou_weight", iou_weight, 0, float("inf"))
    return arguments_of((bce_weight, iou_weight), ignore_label, input)


def bce_iou_loss(
    logits: Tensor,
    target: Tensor,
    bce_weight: float = 20.0,
    iou_weight: float = 0.5,
    reduction: Reduction = "mean",
    *,
    input: Input = "logits",
    ignore_label: float | None = None,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """DIS-SAM's mixed loss in one pass: ``bce_weight * bce_loss + iou_weight * iou_loss`` of each plane.

    Args:
        logits: (B, C, H, W), or (B, ...) of at most three dimensions, which have no channels; floating.
        target: same shape; bool, integer or floating, in [0, 1] (soft labels) or ignore_label. It gets no gradient.
        bce_weight: of the mean cross entropy of a plane, at least 0.
        iou_weight: of the plane's soft intersection over union, at least 0.
        reduction: "mean" or "sum" over samples and channels, or "none": (B, C), (B,) where there are no channels.
        input: "probabilities" if logits are probabilities in [0, 1].
        ignore_label: pixels with this target are in no sum; the mean of the cross entropy divides by all pixels.
        sample_weight: (B,), floating, a factor for each sample.

    Returns:
        A float32 scalar (float64 from float64), or a tensor (B, C) or (B,) for "none". All ignored gives 0.

    Raises:
        TypeError: logits or sample_weight is not floating, or target is complex or no tensor.
        ValueError: shapes or devices differ, logits has no dimension, a weight is negative, or reduction or input is
            unknown. A target above 1 is refused on CPUs alone.

    Numerics:
        As :func:`dislosses.bce_loss` and :func:`dislosses.iou_loss`. Backward keeps the inputs and three numbers a
        plane.

    Source:
        DIS-SAM's official code, 20 and 0.5 for every side output.
    """
    arguments = _arguments(bce_weight, iou_weight, ignore_label, input)
    return _loss(logits, target, arguments, reduction, sample_weight)


class BCEIoULoss(PixelLoss):
    """:func:`bce_iou_loss` as a module."""

    compute = staticmethod(_loss)

    def __init__(
        self,
        bce_weight: float = 20.0,
        iou_weight: float = 0.5,
        reduction: Reduction = "mean",
        *,
        input: Input = "logits",
        ignore_label: float | None = None,
    ) -> None:
        super().__init__(FORMULA, _arguments(bce_weight, iou_weight, ignore_label, input), reduction)
