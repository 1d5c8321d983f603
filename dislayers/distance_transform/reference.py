"""Exact Euclidean distances to the nearest false pixel, in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor


def distance_transform(mask: Tensor) -> Tensor:
    """The distances of :func:`distance_transform_indices`."""
    return distance_transform_indices(mask)[0]


def distance_transform_indices(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Within columns first; then every pixel compares the columns of its row, nearest first: ``k^2 + g^2``.

    Squared distance and column are one number, ``d^2 W + j``, so that of equal distances the smallest column wins.
    """
    height, width = mask.shape[-2:]
    if mask.numel() == 0:
        return mask.new_empty(mask.shape, dtype=torch.float32), mask.new_empty(mask.shape, dtype=torch.int64)
    # Further than any pixel: a column without a false pixel.
    far = height + width
    row, column = torch.arange(height, device=mask.device)[:, None], torch.arange(width, device=mask.device)
    nearest = _nearest_rows(mask != 0, row, far)
    columns = (nearest - row).abs().clamp(max=far).square() * width + column
    best = columns.clone()
    for k in range(1, width):
        if k * k > best.max() // width:
            break
        step = k * k * width
        best[..., k:] = torch.minimum(best[..., k:], columns[..., :-k] + step)
        best[..., :-k] = torch.minimum(best[..., :-k], columns[..., k:] + step)
    square, column = best // width, best % width
    found = square < far * far
    index = torch.where(found, nearest.gather(-1, column) * width + column, -1)
    return torch.where(found, square.double().sqrt(), torch.inf).float(), index


def _nearest_rows(mask: Tensor, row: Tensor, far: int) -> Tensor:
    """The nearest false row of each column, the upper one of equals; one that is far outside if a column has none."""
    height = mask.shape[-2]
    above = torch.where(mask, -far, row).cummax(-2).values
    below = torch.where(mask, height + far, row).flip(-2).cummin(-2).values.flip(-2)
    return torch.where(row - above <= below - row, above, below)
