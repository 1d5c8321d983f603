"""Nonnegative matrix factorisation of feature maps by multiplicative updates."""

from dislayers.nmf.op import nmf

__all__ = ["nmf"]
