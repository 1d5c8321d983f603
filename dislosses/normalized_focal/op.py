"""The op ``dislosses::normalized_focal``, the loss and the module that people call."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime import check
from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.loss import Input, PixelLoss, arguments_of, check_pixels
from dislosses._pixel_loss.op import register_pixel_loss
from dislosses.normalized_focal.reference import FORMULA, counted, limited, multiplied
from dislosses.reduction import Reduction, reduced

_losses_of_samples = register_pixel_loss(FORMULA)


def _arguments(alpha: float, gamma: float, ignore_label: float | None, input: str, max_mult: float | None) -> Arguments:
    check.within("alpha", alpha, 0, 1)
    check.within("gamma", gamma, 0, float("inf"))
    if max_mult is not None and not max_mult > 0:
        raise ValueError(f"max_mult must be above 0, or None for no limit, got {max_mult}")
    return arguments_of((gamma, alpha, 1 - alpha), ignore_label, input)


def normalized_focal_loss(
    logits: Tensor,
    target: Tensor,
    alpha: float = 0.5,
    gamma: float = 2.0,
    ignore_label: float | None = -1,
    reduction: Reduction = "mean",
    *,
    input: Input = "logits",
    max_mult: float | None = None,
    size_average: bool = True,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Focal loss divided by its own weights: ``sum(-w (1 - pt)^gamma log pt) / sum((1 - pt)^gamma)`` for each sample.

    ``pt = 1 - |t - p|`` with ``p = sigmoid(logits)``; ``w`` is alpha where ``t > 0.5``, else ``1 - alpha``. Sums run
    over a sample's pixels that are not ignored.

    Args:
        logits: (B, ...), floating.
        target: same shape; bool, integer or floating, in [0, 1] (soft labels) or ignore_label. It gets no gradient.
        alpha: weight of the positive pixels, in [0, 1].
        gamma: exponent, at least 0; larger values look more at wrong pixels.
        ignore_label: pixels with this target do not count; None: all count.
        reduction: "mean" or "sum" over the samples, or "none": (B,).
        input: "probabilities" if logits are probabilities in [0, 1] (the official ``from_sigmoid``).
        max_mult: the most that a pixel's ``(1 - pt)^gamma`` may be once it is multiplied by its sample's
            ``pixels / sum((1 - pt)^gamma)``; above 0. None: no limit, as RITM trains.
        size_average: False multiplies a sample's loss by the number of its pixels that count.
        sample_weight: (B,), floating, a factor for each sample.

    Returns:
        A float32 scalar (float64 from float64), or (B,) for "none". A sample whose pixels are all ignored has loss 0.

    Raises:
        TypeError: logits or sample_weight is not floating, or target is complex or no tensor.
        ValueError: shapes or devices differ, logits has no dimension, alpha, gamma or max_mult is out of range, or
            reduction or input is unknown. A target above 1 is refused on CPUs alone.

    Numerics:
        Computed in float32, also from half precision; deterministic; no host synchronisation. The divisor is taken as
        a constant by the gradient, as in the official code. ``log pt`` is that of ``pt + 1e-12``, with ``pt`` free of
        cancellation: the official float32 value jumps where a wrong logit exceeds 17. Infinite logits are right, NaN
        gives NaN. Backward keeps the inputs and one number a sample; with max_mult, plain PyTorch runs in two passes
        and keeps what autograd needs.

    Source:
        RITM (Sofiiuk et al., 2021), section 3.3, and the official code's NormalizedFocalLossSigmoid.
    """
    arguments = _arguments(alpha, gamma, ignore_label, input, max_mult)
    check_pixels(logits, target, arguments, reduction, sample_weight)
    if max_mult is None:
        losses = _losses_of_samples(logits, target, arguments)
    else:
        losses = limited(logits, target.detach(), arguments, max_mult)
    if not size_average:
        losses = losses * counted(target, arguments.ignore_label)
    return reduced(losses, reduction, sample_weight)


class NormalizedFocalLoss(PixelLoss):
    """:func:`normalized_focal_loss` as a module.

    With track_statistics it has two buffers, which each call moves on the device, as the official code moves its
    attributes ``_k_sum`` and ``_m_max``: only if a sample of the batch has no ignored pixel.

    Attributes:
        k_sum: running mean (0.9 old, 0.1 new) of the multipliers of samples without ignored pixels.
        m_max: running mean (0.8 old, 0.2 new) of each sample's largest ``multiplier * (1 - pt)^gamma``.
    """

    k_sum: Tensor
    m_max: Tensor

    def __init__(
        self,
        alpha: float = 0.5,
        gamma: float = 2.0,
        ignore_label: float | None = -1,
        reduction: Reduction = "mean",
        *,
        input: Input = "logits",
        max_mult: float | None = None,
        size_average: bool = True,
        track_statistics: bool = False,
    ) -> None:
        super().__init__(FORMULA, _arguments(alpha, gamma, ignore_label, input, max_mult), reduction)
        self.alpha = alpha
        self.gamma = gamma
        self.ignore_label = ignore_label
        self.input: Input = input
        self.max_mult = max_mult
        self.size_average = size_average
        self.track_statistics = track_statistics
        if track_statistics:
            self.register_buffer("k_sum", torch.zeros(()))
            self.register_buffer("m_max", torch.zeros(()))

    @property
    def is_its_formula(self) -> bool:
        """Whether formula, arguments and reduction say all that this loss computes."""
        return self.max_mult is None and self.size_average and not self.track_statistics

    def forward(self, logits: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """The loss of logits against target, shapes as in :func:`normalized_focal_loss`."""
        loss = normalized_focal_loss(
            logits,
            target,
            self.alpha,
            self.gamma,
            self.ignore_label,
            self.reduction,
            input=self.input,
            max_mult=self.max_mult,
            size_average=self.size_average,
            sample_weight=sample_weight,
        )
        if self.track_statistics and logits.numel():
            self._track(logits, target)
        return loss

    @torch.no_grad()
    def _track(self, logits: Tensor, target: Tensor) -> None:
        _, weights, multiplier = multiplied(logits, target, self.arguments)
        largest = weights.amax(1).clamp_max(self.max_mult or float("inf")).mean()
        whole = counted(target, self.ignore_label) == logits[0].numel()
        mean = torch.where(whole, multiplier, 0).sum() / whole.sum().clamp_min(1)
        self.k_sum.copy_(torch.where(whole.any(), 0.9 * self.k_sum + 0.1 * mean, self.k_sum))
        self.m_max.copy_(torch.where(whole.any(), 0.8 * self.m_max + 0.2 * largest, self.m_max))
