"""Euclidean distances of binary masks."""

from dislayers.distance_transform.op import distance_transform

__all__ = ["distance_transform"]
