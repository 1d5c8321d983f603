"""Laplacian boundary loss."""

from dislosses.laplacian_boundary.op import LaplacianBoundaryLoss, laplacian_boundary_loss

__all__ = ["LaplacianBoundaryLoss", "laplacian_boundary_loss"]
