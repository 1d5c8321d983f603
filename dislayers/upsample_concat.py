"""Bilinear upsampling to a skip connection's size, then concatenation with it."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.rebuild import is_rebuildable, rebuildable, recipe_of
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
    result = torch.cat((upsample(x, skip.shape[-2:]), skip), dim=1)
    if result.requires_grad and is_rebuildable(x) and is_rebuildable(skip):
        of_x, of_skip = recipe_of(x), recipe_of(skip)
        rebuildable(result, lambda: upsample_concat(of_x(), of_skip()))
    return result
