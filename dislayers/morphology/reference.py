"""Dilation and erosion with the 3x3 cross or square, in plain PyTorch."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

Footprint = Literal["cross", "square"]


def enough(mask: Tensor, iterations: int, within: Tensor | None) -> int:
    """No more iterations than can change anything: across the image, or through all of a winding corridor."""
    height, width = mask.shape[-2:]
    return min(iterations, height + width if within is None else height * width)


def dilate(mask: Tensor, iterations: int, within: Tensor | None, footprint: Footprint = "cross") -> Tensor:
    """Every iteration sets the neighbours of each set pixel, four or all eight, then clears what is not within."""
    now = mask != 0
    allowed = None if within is None else within != 0
    for _ in range(enough(mask, iterations, within)):
        grown = now.clone()
        grown[..., 1:, :] |= now[..., :-1, :]
        grown[..., :-1, :] |= now[..., 1:, :]
        moved = grown.clone() if footprint == "square" else now
        grown[..., 1:] |= moved[..., :-1]
        grown[..., :-1] |= moved[..., 1:]
        if allowed is not None:
            grown &= allowed
        now = grown
    return now


def erode(mask: Tensor, iterations: int, footprint: Footprint = "cross") -> Tensor:
    """The complement of the dilated complement: outside the image nothing erodes."""
    return ~dilate(mask == 0, iterations, None, footprint)
