"""Dilation and erosion with the 4-neighbour cross, in plain PyTorch."""

from __future__ import annotations

from torch import Tensor


def enough(mask: Tensor, iterations: int, within: Tensor | None) -> int:
    """No more iterations than can change anything: across the image, or through all of a winding corridor."""
    height, width = mask.shape[-2:]
    return min(iterations, height + width if within is None else height * width)


def dilate(mask: Tensor, iterations: int, within: Tensor | None) -> Tensor:
    """Every iteration sets the four neighbours of each set pixel, then clears what is not within."""
    now = mask != 0
    allowed = None if within is None else within != 0
    for _ in range(enough(mask, iterations, within)):
        grown = now.clone()
        grown[..., 1:, :] |= now[..., :-1, :]
        grown[..., :-1, :] |= now[..., 1:, :]
        grown[..., 1:] |= now[..., :-1]
        grown[..., :-1] |= now[..., 1:]
        if allowed is not None:
            grown &= allowed
        now = grown
    return now


def erode(mask: Tensor, iterations: int) -> Tensor:
    """The complement of the dilated complement: outside the image nothing erodes."""
    return ~dilate(mask == 0, iterations, None)
