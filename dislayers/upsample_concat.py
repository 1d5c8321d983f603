"""Bilinear upsampling to a skip connection's size, then concatenation with it."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers.upsample import upsample


def upsample_concat(x: Tensor, skip: Tensor) -> Tensor:
    """Resize x to the size of skip, as :func:`dislayers.upsample`, and put it before skip along the channels.

    Args:
        x: (B, C, h, w), floating.
        skip: (B, D, H, W), same dtype.

    Returns:
        (B, C + D, H, W).

    Source:
        U²-Net (Qin et al., 2020), every step of its decoders.
    """
    return torch.cat((upsample(x, skip.shape[-2:]), skip), dim=1)
