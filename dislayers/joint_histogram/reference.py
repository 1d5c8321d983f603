"""Joint histograms in plain PyTorch."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def joint_histogram(pred: Tensor, gt: Tensor, bins: int) -> Tensor:
    """Number the results' elements, find each pixel's and count."""
    leading = pred.shape[:-2]
    count = 2 * math.prod(leading)
    image = torch.arange(0, count, 2, device=pred.device).view(*leading, 1, 1)
    joint = (image + (gt != 0)) * bins + _bin(pred, bins)
    return torch.bincount(joint.flatten(), minlength=count * bins).view(*leading, 2, bins)


def _bin(pred: Tensor, bins: int) -> Tensor:
    if pred.dtype == torch.uint8:
        return pred.long() * bins // 256
    return (pred.double().nan_to_num(0).clamp(0, 1) * (bins - 1)).long()
