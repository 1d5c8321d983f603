"""Moments of orders 0 and 1 in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor


def moments(mask: Tensor) -> Tensor:
    """Counts by row and by column, weighted with their indices."""
    by_row, by_column = (mask != 0).sum(-1), (mask != 0).sum(-2)
    rows, columns = (torch.arange(n, device=mask.device) for n in mask.shape[-2:])
    return torch.stack([by_row.sum(-1), (by_row * rows).sum(-1), (by_column * columns).sum(-1)], -1)
