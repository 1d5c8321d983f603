"""Bilinear upsampling to a skip connection's size, then concatenation with it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def upsample_concat(x: Tensor, skip: Tensor) -> Tensor:
    """Resize x to the size of skip and put it before skip along the channels.

    Bilinear with ``align_corners=False``; an x that already has the size is taken as it is.

    Args:
        x: (B, C, h, w), floating.
        skip: (B, D, H, W), same dtype.

    Returns:
        (B, C + D, H, W).

    Source:
        U²-Net (Qin et al., 2020), every step of its decoders.
    """
    if x.shape[-2:] != skip.shape[-2:]:
        x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
    return torch.cat((x, skip), dim=1)
