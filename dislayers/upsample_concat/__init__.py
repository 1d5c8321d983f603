"""Bilinear upsampling to a skip connection's size, put before it along the channels."""

from dislayers.upsample_concat.op import upsample_concat

__all__ = ["upsample_concat"]
