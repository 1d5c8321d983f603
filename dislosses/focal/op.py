"""The op ``dislosses::focal``, the loss and the module that people call."""

from __future__ import annotations

from torch import Tensor

from dislayers._runtime import check
from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.loss import Input, PixelLoss, arguments_of, loss_of_elements
from dislosses.focal.reference import FORMULA
from dislosses.reduction import Reduction

_loss = loss_of_elements(FORMULA)


def _arguments(alpha: float | None, gamma: float, ignore_label: float | None, input: str) -> Arguments:
    if alpha is not None:
        check.within("alpha", alpha, 0, 1)
    check.within("gamma", gamma, 0, float("inf"))
    weights = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    return arguments_of((gamma, *weights), ignore_label, input)


def focal_loss(
    logits: Tensor,
    target: Tensor,
    alpha: float | None = None,
    gamma: float = 2.0,
    reduction: Reduction = "mean",
    *,
    input: Input = "logits",
    ignore_label: float | None = None,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Focal loss: ``-w (1 - pt)^gamma log pt`` with ``pt = 1 - |t - p|`` and ``p = sigmoid(logits)``.

    Args:
        logits: (B, ...), floating.
        target: same shape; bool, integer or floating, in [0, 1] (soft labels) or ignore_label. It gets no gradient.
        alpha: in [0, 1]; w is alpha where ``t > 0.5``, else ``1 - alpha``. None: w is 1, as in ThreshNet.
        gamma: exponent, at least 0; larger values look more at wrong pixels.
        reduction: "mean" or "sum" over all elements, or "none": one value an element.
        input: "probabilities" if logits are probabilities in [0, 1].
        ignore_label: elements with this target give 0; they count in the mean.
        sample_weight: (B,), floating, a factor for each sample.

    Returns:
        A float32 scalar (float64 from float64), or a tensor of the logits' shape for "none".

    Raises:
        TypeError: logits or sample_weight is not floating, or target is complex or no tensor.
        ValueError: shapes or devices differ, logits has no dimension, alpha or gamma is out of range, or reduction or
            input is unknown. A target above 1 is refused on CPUs alone.

    Numerics:
        Computed in float32, also from half precision; deterministic; no epsilon: right for logits up to 1e37, with soft
        labels nearer to 0 or 1 than the smallest float32 taken as hard. An infinite logit on the wrong side gives
        infinity, and NaN as its gradient. A logarithm of a probability is at least -100, and its gradient of bounded
        size, as in PyTorch's ``binary_cross_entropy``. NaN gives NaN. Backward keeps the inputs and one number a
        sample.

    Source:
        ThreshNet, its equation of the focal loss; the loss and alpha: Lin et al., 2017, equations 4 and 5.
    """
    return _loss(logits, target, _arguments(alpha, gamma, ignore_label, input), reduction, sample_weight)


class FocalLoss(PixelLoss):
    """:func:`focal_loss` as a module."""

    compute = staticmethod(_loss)

    def __init__(
        self,
        alpha: float | None = None,
        gamma: float = 2.0,
        reduction: Reduction = "mean",
        *,
        input: Input = "logits",
        ignore_label: float | None = None,
    ) -> None:
        super().__init__(FORMULA, _arguments(alpha, gamma, ignore_label, input), reduction)
