"""Bilinear resizing, as every network and loss here does it."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def upsample(x: Tensor, size: Sequence[int]) -> Tensor:
    """Resize x bilinearly with ``align_corners=False``; an x that already has the size is given back as it is.

    Args:
        x: (B, C, h, w), floating.
        size: height and width of the result, larger or smaller.

    Returns:
        (B, C, *size), of x's dtype.

    Source:
        The official code of U²-Net and IS-Net, in decoders, side outputs and prediction.
    """
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
