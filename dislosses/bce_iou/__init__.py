"""Binary cross entropy and soft intersection over union in one pass."""

from dislosses.bce_iou.op import BCEIoULoss, bce_iou_loss

__all__ = ["BCEIoULoss", "bce_iou_loss"]
