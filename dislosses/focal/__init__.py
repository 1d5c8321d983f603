"""Focal loss."""

from dislosses.focal.op import FocalLoss, focal_loss

__all__ = ["FocalLoss", "focal_loss"]
