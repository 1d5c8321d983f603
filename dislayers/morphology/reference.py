"""Dilation and erosion with the 4-neighbour cross, in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor


def dilate(mask: Tensor, iterations: int, within: Tensor | None) -> Tensor:
    """Every iteration sets the four neighbours of each set pixel, then clears what is not within."""
    now = mask != 0
    allowed = None if within is None else within != 0
    for _ in range(iterations):
        grown = now.clone()
        grown[..., 1:, :] |= now[..., :-1, :]
        grown[..., :-1, :] |= now[..., 1:, :]
        grown[..., 1:] |= now[..., :-1]
        grown[..., :-1] |= now[..., 1:]
        if allowed is not None:
            grown &= allowed
        if torch.equal(grown, now):  # nothing changes any more, however many iterations are left
            break
        now = grown
    return now


def erode(mask: Tensor, iterations: int) -> Tensor:
    """The complement of the dilated complement: outside the image nothing erodes."""
    return ~dilate(mask == 0, iterations, None)
