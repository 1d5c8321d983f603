"""Binary cross entropy."""

from dislosses.bce.op import BCELoss, bce_loss

__all__ = ["BCELoss", "bce_loss"]
