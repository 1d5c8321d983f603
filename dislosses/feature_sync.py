"""Feature synchronisation: a model's feature maps follow those of a ground-truth encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dislosses.precision import at_least_float32


def _kl_divergence(feature: Tensor, guide: Tensor) -> Tensor:
    return F.kl_div(F.log_softmax(feature, dim=1), F.softmax(guide, dim=1), reduction="none").mean()


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l2": F.mse_loss,
    "l1": F.l1_loss,
    "smooth_l1": F.smooth_l1_loss,
    "kl": _kl_divergence,
}


def feature_sync_loss(
    features: Sequence[Tensor], guides: Sequence[Tensor], distance: str = "l2", reduction: str = "sum"
) -> Tensor:
    """Sum over pairs of maps of their mean distance: ``sum_d mean(|f_d - g_d|²)`` for "l2".

    Args:
        features: maps (B, C, H, W) of the model, floating.
        guides: as many maps of the ground-truth encoder, of the same shapes; no gradient flows into them.
        distance: "l2" (squared), "l1", "smooth_l1", or "kl": the divergence of the softmax over channels from the
            guide's.
        reduction: "sum" over the pairs, or "none" (one value a pair).

    Returns:
        A float32 scalar (float64 from float64), or (len(features),) for "none".

    Raises:
        ValueError: numbers or shapes of the maps differ, or distance or reduction is unknown.

    Numerics:
        Each distance is a mean over all elements (the paper writes a sum norm with a weight), so weights of 1 fit all
        sizes. Half precision is computed in float32.

    Source:
        DIS5K paper (Qin et al., 2022), L_fs in section 4.2; "kl" and "l1" are rows of its table 3.
    """
    if distance not in DISTANCES:
        raise ValueError(f"distance must be one of {', '.join(DISTANCES)}, got {distance!r}")
    if reduction not in ("sum", "none"):
        raise ValueError(f"reduction must be sum or none, got {reduction!r}")
    shapes, expected = [tuple(f.shape) for f in features], [tuple(g.shape) for g in guides]
    if shapes != expected or not shapes:
        raise ValueError(f"guides must have the shapes of features, got {expected} for {shapes}")
    measure = DISTANCES[distance]
    losses = [measure(at_least_float32(f), at_least_float32(g.detach())) for f, g in zip(features, guides, strict=True)]
    stacked = torch.stack(losses)
    return stacked.sum() if reduction == "sum" else stacked


class FeatureSyncLoss(nn.Module):
    """:func:`feature_sync_loss` as a module."""

    def __init__(self, distance: str = "l2", reduction: str = "sum") -> None:
        super().__init__()
        self.distance = distance
        self.reduction = reduction

    def forward(self, features: Sequence[Tensor], guides: Sequence[Tensor]) -> Tensor:
        """The loss of features against guides, as in :func:`feature_sync_loss`."""
        return feature_sync_loss(features, guides, self.distance, self.reduction)
