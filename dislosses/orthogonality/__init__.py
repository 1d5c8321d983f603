"""Orthogonality of weights: ``sum |W W^T - I|``."""

from dislosses.orthogonality.op import OrthogonalityLoss, orthogonality_loss, orthogonality_weights

__all__ = ["OrthogonalityLoss", "orthogonality_loss", "orthogonality_weights"]
