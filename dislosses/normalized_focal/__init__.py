"""Normalized focal loss."""

from dislosses.normalized_focal.op import NormalizedFocalLoss, normalized_focal_loss

__all__ = ["NormalizedFocalLoss", "normalized_focal_loss"]
