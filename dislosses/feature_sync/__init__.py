"""Feature synchronisation: a model's feature maps follow those of a ground-truth encoder."""

from dislosses.feature_sync.op import FeatureSyncLoss, feature_sync_loss

__all__ = ["FeatureSyncLoss", "feature_sync_loss"]
