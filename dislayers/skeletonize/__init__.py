"""Skeletons of binary masks."""

from dislayers.skeletonize.op import skeletonize

__all__ = ["skeletonize"]
