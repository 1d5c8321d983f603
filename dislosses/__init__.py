"""Losses of dichotomous image segmentation."""

from dislosses.bce import BCELoss, bce_loss
from dislosses.bce_iou import BCEIoULoss, bce_iou_loss
from dislosses.deep_supervision import DeepSupervisionLoss, deep_supervision_loss
from dislosses.feature_sync import FeatureSyncLoss, feature_sync_loss
from dislosses.focal import FocalLoss, focal_loss
from dislosses.iou import IoULoss, iou_loss
from dislosses.laplacian_boundary import LaplacianBoundaryLoss, laplacian_boundary_loss
from dislosses.normalized_focal import NormalizedFocalLoss, normalized_focal_loss
from dislosses.orthogonality import OrthogonalityLoss, orthogonality_loss, orthogonality_weights

__all__ = [
    "BCEIoULoss",
    "BCELoss",
    "DeepSupervisionLoss",
    "FeatureSyncLoss",
    "FocalLoss",
    "IoULoss",
    "LaplacianBoundaryLoss",
    "NormalizedFocalLoss",
    "OrthogonalityLoss",
    "bce_iou_loss",
    "bce_loss",
    "deep_supervision_loss",
    "feature_sync_loss",
    "focal_loss",
    "iou_loss",
    "laplacian_boundary_loss",
    "normalized_focal_loss",
    "orthogonality_loss",
    "orthogonality_weights",
]
