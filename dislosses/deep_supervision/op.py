"""The op ``dislosses::deep_supervision``, the loss and the module that people call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dislayers._runtime import check
from dislayers._runtime.backend import Implementation
from dislayers._runtime.launch import in_triton
from dislayers._runtime.library import left_to_compiler, register
from dislayers._runtime.native import missing_kernel
from dislosses._pixel_loss.loss import PixelLoss
from dislosses._pixel_loss.op import formulas
from dislosses.bce import BCELoss, bce_loss
from dislosses.bce_iou import BCEIoULoss, bce_iou_loss
from dislosses.deep_supervision import native, reference
from dislosses.focal import FocalLoss, focal_loss
from dislosses.iou import IoULoss, iou_loss
from dislosses.normalized_focal import NormalizedFocalLoss, normalized_focal_loss
from dislosses.precision import dtype_of_losses
from dislosses.reduction import SUM_REDUCTIONS, SumReduction, check_sample_weight

Loss = Callable[..., Tensor]

_NAME = "dislosses::deep_supervision"
_ARGUMENTS = "Tensor[] logits, Tensor target, str loss, float[] options, float? ignore_label"

# What a function computes, as the module of its defaults.
_MODULES: dict[Loss, PixelLoss] = {
    bce_loss: BCELoss(),
    bce_iou_loss: BCEIoULoss(),
    focal_loss: FocalLoss(),
    iou_loss: IoULoss(),
    normalized_focal_loss: NormalizedFocalLoss(),
}


def deep_supervision_loss(
    logits: Sequence[Tensor],
    target: Tensor,
    loss: Loss = bce_loss,
    weights: Sequence[float] | None = None,
    reduction: SumReduction = "sum",
    *,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Weighted sum over side outputs of their loss: ``sum_d w_d loss(upsample(logits_d), target)``.

    Args:
        logits: maps (B, C, h, w) at their own resolutions, floating, each of its own dtype.
        target: (B, C, H, W); bool, integer or floating. It gets no gradient.
        loss: a loss of (logits, target) that gives a scalar. bce_loss, iou_loss, bce_iou_loss, focal_loss and
            normalized_focal_loss, and their modules for logits with the reduction "mean", are fused with the upsampling
            where C is 1; any other is called once a side output.
        weights: one a side output; all 1 by default.
        reduction: "sum", or "none" (one weighted value a side output).
        sample_weight: (B,), floating, a factor for each sample; a loss that is not fused gets it as a keyword.

    Returns:
        A float32 scalar (float64 from float64), or (len(logits),) for "none".

    Raises:
        TypeError: logits are no sequence of floating tensors, target or sample_weight is no such tensor, or loss
            cannot be called, or not with sample_weight.
        ValueError: there are no logits, shapes or devices do not fit, weights are not as many, or reduction is unknown.
            A target above 1 is refused on CPUs alone.

    Numerics:
        The logits, not the probabilities, are resized (bilinear, ``align_corners=False``), in float32 or float64.
        Deterministic; right for finite logits; a NaN makes its sample's loss NaN. Backward of a fused loss keeps the
        inputs and a few numbers a sample. Kernels store no upsampled map, plain PyTorch has one at a time.

    Source:
        DIS5K paper (Qin et al., 2022), L_sg in section 4.2; U²-Net (Qin et al., 2020), equation 1.
    """
    _check(logits, target, loss, weights, reduction, sample_weight)
    module = _fusable(loss, logits, target)
    if module is None:
        values = _one_by_one(logits, target, loss, sample_weight)
    else:
        values = _fused(logits, target, module, sample_weight)
    if weights is not None:
        values = torch.stack([weight * value for weight, value in zip(weights, values, strict=True)])
    return values.sum() if reduction == "sum" else values


def _check(
    logits: Sequence[Tensor],
    target: Tensor,
    loss: Loss,
    weights: Sequence[float] | None,
    reduction: str,
    sample_weight: Tensor | None,
) -> None:
    check.one_of("reduction", reduction, SUM_REDUCTIONS)
    check.tensors("logits", logits)
    check.real("target", target)
    if target.ndim < 2 or 0 in target.shape[-2:]:
        raise ValueError(f"target must have the shape (B, C, H, W) with pixels, got {tuple(target.shape)}")
    for i, side in enumerate(logits):
        check.floating(f"logits[{i}]", side)
        if side.ndim != 4 or side.shape[0] != target.shape[0] or 0 in side.shape[-2:] or side.device != target.device:
            raise ValueError(
                f"logits[{i}] must have the shape (B, C, h, w) with pixels, and B and device of target: "
                f"got {tuple(side.shape)} on {side.device} for {tuple(target.shape)} on {target.device}"
            )
    if not callable(loss):
        raise TypeError(f"loss must be a function of (logits, target), got {type(loss).__name__}")
    if weights is not None and len(weights) != len(logits):
        raise ValueError(f"weights must be one a side output: expected {len(logits)}, got {len(weights)}")
    check_sample_weight(sample_weight, "target", target)


def _fusable(loss: Loss, logits: Sequence[Tensor], target: Tensor) -> PixelLoss | None:
    """The loss as a module of this package that the op computes, None if there is none."""
    module = loss if isinstance(loss, PixelLoss) else next((m for f, m in _MODULES.items() if f is loss), None)
    if module is None or not module.is_its_formula or module.reduction != "mean" or module.arguments.probabilities:
        return None
    return module if target.ndim == 4 and all(x.shape[1] == 1 for x in (target, *logits)) else None


def _one_by_one(logits: Sequence[Tensor], target: Tensor, loss: Loss, sample_weight: Tensor | None) -> Tensor:
    """The value (D,) that any loss has for each side output."""
    own = {} if sample_weight is None else {"sample_weight": sample_weight}
    values = [loss(reference.upsampled(side, target), target, **own) for side in logits]
    for value in values:
        check.shaped("the value of loss", value, ())
    return torch.stack(values)


def _fused(logits: Sequence[Tensor], target: Tensor, module: PixelLoss, sample_weight: Tensor | None) -> Tensor:
    """The mean (D,) over samples of a pixel loss of each side output."""
    arguments = module.formula.name, module.arguments.options, module.arguments.ignore_label
    if left_to_compiler(_NAME, target.device):
        losses = reference.loss(logits, target.detach(), *arguments)
    else:
        losses, _ = _compute(list(logits), target, *arguments)
    return (losses if sample_weight is None else losses * sample_weight).mean(1)


class DeepSupervisionLoss(nn.Module):
    """:func:`deep_supervision_loss` as a module."""

    def __init__(
        self, loss: Loss = bce_loss, weights: Sequence[float] | None = None, reduction: SumReduction = "sum"
    ) -> None:
        super().__init__()
        check.one_of("reduction", reduction, SUM_REDUCTIONS)
        self.loss = loss
        self.weights = weights
        self.reduction = reduction

    def forward(self, logits: Sequence[Tensor], target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """The loss of logits against target, shapes as in :func:`deep_supervision_loss`."""
        return deep_supervision_loss(
            logits, target, self.loss, self.weights, self.reduction, sample_weight=sample_weight
        )


def _fake_forward(logits: Sequence[Tensor], target: Tensor, loss: str, *_: object) -> tuple[Tensor, Tensor]:
    dtype = dtype_of_losses(logits)
    losses = target.new_empty((len(logits), target.shape[0]), dtype=dtype)
    return losses, target.new_empty((len(logits), target.shape[0], formulas[loss].coefficients), dtype=dtype)


def _fake_backward(gradient: Tensor, coefficients: Tensor, logits: Sequence[Tensor], *_: object) -> list[Tensor]:
    return [side.new_empty(side.shape) for side in logits]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    logits, target, *ctx.arguments = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[1], target, *logits)


def _backward(ctx: Any, gradient: Tensor | None, _: None) -> tuple[Any, ...]:
    coefficients, target, *logits = ctx.saved_tensors
    _, options, _ = ctx.arguments
    if gradient is None:
        gradients = [None] * len(logits)
    else:
        gradients = _differentiate(gradient, coefficients, logits, target, *ctx.arguments)
    # PyTorch takes an empty list for a list of tensors, which wants a list of gradients.
    return gradients, None, None, None if options else [], None


_differentiate = register(
    f"{_NAME}_backward(Tensor gradient, Tensor coefficients, {_ARGUMENTS}) -> Tensor[]",
    reference.backward,
    _fake_backward,
    kernels=[
        in_triton("dislosses.deep_supervision.kernel.launch_backward"),
        Implementation("native", native.backward, missing_kernel("deep_supervision_backward")),
    ],
)

_compute = register(
    f"{_NAME}({_ARGUMENTS}) -> (Tensor losses, Tensor coefficients)",
    reference.forward,
    _fake_forward,
    kernels=[
        in_triton("dislosses.deep_supervision.kernel.launch_forward"),
        Implementation("native", native.forward, missing_kernel("deep_supervision")),
    ],
    backward=_backward,
    setup_context=_save,
)
