"""The op ``dislosses::feature_sync`` with its gradient, the loss and the module that people call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dislayers._runtime import check
from dislayers._runtime.launch import in_triton
from dislayers._runtime.layout import dense_samples
from dislayers._runtime.library import left_to_compiler, not_differentiable, register
from dislosses.feature_sync import reference
from dislosses.precision import dtype_of_losses
from dislosses.reduction import SUM_REDUCTIONS, SumReduction, check_sample_weight


def _fake_forward(features: list[Tensor], *arguments: Any) -> tuple[Tensor, list[Tensor]]:
    losses = features[0].new_empty(len(features), dtype=dtype_of_losses(features))
    return losses, [torch.empty_like(dense_samples(feature)) for feature in features if arguments[-2]]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, list[Tensor]]) -> None:
    _, _, _, ctx.weights, _, _, ctx.overwrite = inputs
    ctx.mark_non_differentiable(*output[1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1])


def _last_reader(upstream: Tensor) -> bool:
    """Whether no other backward pass will read what was saved, and nothing records or traces this one."""
    if type(upstream) is not Tensor or torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    return not torch._C._autograd._get_current_graph_task_keep_graph()


def _backward(ctx: Any, upstream: Tensor | None, _: object) -> tuple[Any, ...]:
    gradients: list[Any] = list(ctx.saved_tensors)
    if not gradients:
        not_differentiable()
    none = [None] * len(gradients)
    if upstream is None:
        gradients = none
    elif ctx.overwrite and _last_reader(upstream):
        _feature_sync_scale_(gradients, upstream, ctx.weights)
    else:
        gradients = _feature_sync_scale(gradients, upstream, ctx.weights)
    return gradients, none, None, None, None, None, None


_feature_sync_scale = register(
    "dislosses::feature_sync_scale(Tensor[] gradients, Tensor upstream, float[] weights) -> Tensor[]",
    reference.scale,
    lambda gradients, *_: [torch.empty_like(gradient) for gradient in gradients],
    kernels=[in_triton("dislosses.feature_sync.kernel.launch_scale")],
)
_feature_sync_scale_ = register(
    "dislosses::feature_sync_scale_(Tensor(a!)[] gradients, Tensor upstream, float[] weights) -> ()",
    reference.scale_in_place,
    lambda *_: None,
    kernels=[in_triton("dislosses.feature_sync.kernel.launch_scale_in_place")],
    backward=None,
)
# overwrite: the caller keeps no gradient, so backward may scale them in their own memory and has none to make.
_feature_sync = register(
    "dislosses::feature_sync(Tensor[] features, Tensor[] guides, Tensor? sample_weight, float[] weights, "
    "str distance, bool with_gradients, bool overwrite) -> (Tensor, Tensor[])",
    reference.forward,
    _fake_forward,
    kernels=[in_triton("dislosses.feature_sync.kernel.launch_forward")],
    backward=_backward,
    setup_context=_save,
)


def feature_sync_loss(
    features: Sequence[Tensor],
    guides: Sequence[Tensor],
    distance: str = "l2",
    reduction: SumReduction = "sum",
    *,
    weights: Sequence[float] | None = None,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Sum over pairs of maps of their mean distance: ``sum_d w_d mean(s |f_d - g_d|²)`` for "l2".

    Args:
        features: maps (B, C, ...) of the model, floating, of any sizes and dtypes.
        guides: as many maps of the ground-truth encoder, of the same shapes; no gradient flows into them.
        distance: "l2" (squared), "l1", "smooth_l1" (quadratic below 1), or "kl": the divergence of the softmax over
            channels from the guide's.
        reduction: "sum" over the pairs, or "none" (one weighted value a pair).
        weights: w, one a pair; all 1 by default.
        sample_weight: s, (B,), a factor of each sample's elements in the means; it gets no gradient.

    Returns:
        A float32 scalar (float64 from float64), or (len(features),) for "none".

    Raises:
        TypeError: a map or sample_weight is no floating tensor.
        ValueError: numbers, shapes or devices of the maps differ, weights are not as many, sample_weight is not (B,),
            "kl" has maps without channels, or distance or reduction is unknown.

    Numerics:
        Each distance is a mean over all elements, channels included (the paper writes a sum norm with a weight), so
        weights of 1 fit all sizes; of no element it is NaN. Half precision is computed in float32; deterministic; no
        host synchronisation on a GPU. The forward pass writes the gradient, which is all that backward keeps: in half
        precision it is rounded there, and once more where the incoming gradient is no power of two. NaN in a map makes
        its loss NaN.

    Source:
        DIS5K paper (Qin et al., 2022), L_fs in section 4.2; "kl" and "l1" are rows of its table 3.
    """
    check.one_of("distance", distance, reference.DISTANCES)
    check.one_of("reduction", reduction, SUM_REDUCTIONS)
    _check_maps(features, guides, distance)
    if weights is not None and len(weights) != len(features):
        raise ValueError(f"weights must be one a pair: expected {len(features)}, got {len(weights)}")
    for index, feature in enumerate(features):
        check_sample_weight(sample_weight, f"features[{index}]", feature)
    sample_weight = None if sample_weight is None else sample_weight.detach()
    features, guides = list(features), [guide.detach() for guide in guides]
    constants = ([1.0] * len(features) if weights is None else [float(weight) for weight in weights], distance)
    if left_to_compiler("dislosses::feature_sync", features[0].device):
        losses = reference.feature_sync(features, guides, sample_weight, *constants)
    else:
        with_gradients = torch.is_grad_enabled() and any(feature.requires_grad for feature in features)
        losses, _ = _feature_sync(features, guides, sample_weight, *constants, with_gradients, True)
    return losses.sum() if reduction == "sum" else losses


def _check_maps(features: Sequence[Tensor], guides: Sequence[Tensor], distance: str) -> None:
    check.tensors("features", features)
    check.tensors("guides", guides)
    if len(guides) != len(features):
        raise ValueError(f"guides must be as many as features, got {len(guides)} for {len(features)}")
    least = 2 if distance == "kl" else 1
    for index, (feature, guide) in enumerate(zip(features, guides, strict=True)):
        check.floating(f"features[{index}]", feature)
        check.floating(f"guides[{index}]", guide)
        check.matching(f"guides[{index}]", guide, f"features[{index}]", feature)
        check.beside(f"features[{index}]", feature, "features[0]", features[0])
        if feature.ndim < least:
            raise ValueError(f"features[{index}] must have {least} dimensions or more, got {tuple(feature.shape)}")


class FeatureSyncLoss(nn.Module):
    """:func:`feature_sync_loss` as a module."""

    def __init__(
        self, distance: str = "l2", reduction: SumReduction = "sum", *, weights: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        check.one_of("distance", distance, reference.DISTANCES)
        check.one_of("reduction", reduction, SUM_REDUCTIONS)
        self.distance = distance
        self.reduction: SumReduction = reduction
        self.weights = weights

    def forward(
        self, features: Sequence[Tensor], guides: Sequence[Tensor], sample_weight: Tensor | None = None
    ) -> Tensor:
        """The loss of features against guides, shapes as in :func:`feature_sync_loss`."""
        return feature_sync_loss(
            features, guides, self.distance, self.reduction, weights=self.weights, sample_weight=sample_weight
        )
