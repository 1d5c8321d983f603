"""Resizing that training and prediction share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dismodels.data.images import Pixels


def resize_image(image: Pixels, size: int) -> Tensor:
    """Resize an image or mask to a square, whatever its aspect, exactly as the official code does.

    Bilinear on float32 with ``align_corners=False`` and no antialiasing, then truncated to whole grey values; a binary
    mask becomes grey along its edges and is a soft label there.

    Args:
        image: (H, W, C) or (H, W) uint8.
        size: height and width of the result.

    Returns:
        (C, size, size) uint8, with C = 1 for (H, W).

    Numerics:
        PyTorch's result for three channels at once depends on its thread count: with one thread, about three values in
        a million differ by one from those with more. A channel at a time gives the latter with any number.

    Source:
        The official IS-Net data loader (im_preprocess, gt_preprocess) and its inference script.
    """
    channels = torch.from_numpy(image.reshape(*image.shape[:2], -1)).permute(2, 0, 1)
    resized = [
        F.interpolate(channel[None, None].float(), size=(size, size), mode="bilinear", align_corners=False)
        for channel in channels
    ]
    return torch.cat(resized, dim=1)[0].to(torch.uint8)
