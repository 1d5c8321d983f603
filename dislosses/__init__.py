"""Losses of dichotomous image segmentation."""

from dislosses.bce import BCELoss, bce_loss
from dislosses.deep_supervision import DeepSupervisionLoss, deep_supervision_loss
from dislosses.feature_sync import FeatureSyncLoss, feature_sync_loss
from dislosses.laplacian_boundary import LaplacianBoundaryLoss, laplacian_boundary_loss
from dislosses.normalized_focal import NormalizedFocalLoss, normalized_focal_loss
from dislosses.orthogonality import OrthogonalityLoss, orthogonality_loss, orthogonality_weights

__all__ = [
    "BCELoss",
    "DeepSupervisionLoss",
    "FeatureSyncLoss",
    "LaplacianBoundaryLoss",
    "NormalizedFocalLoss",
    "OrthogonalityLoss",
    "bce_loss",
    "deep_supervision_loss",
    "feature_sync_loss",
    "laplacian_boundary_loss",
    "normalized_focal_loss",
    "orthogonality_loss",
    "orthogonality_weights",
]
