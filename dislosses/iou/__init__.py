"""Soft intersection over union."""

from dislosses.iou.op import IoULoss, iou_loss

__all__ = ["IoULoss", "iou_loss"]
