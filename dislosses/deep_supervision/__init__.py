"""Deep supervision: a pixel loss on every side output, upsampled to the target."""

from dislosses.deep_supervision.op import DeepSupervisionLoss, deep_supervision_loss

__all__ = ["DeepSupervisionLoss", "deep_supervision_loss"]
