"""Moments of binary masks."""

from dislayers.moments.op import moments

__all__ = ["moments"]
