"""RITM's click maps as its official ``DistMaps`` computes them: every click over the whole map, then the least."""

from __future__ import annotations

import torch
from torch import Tensor


def click_maps(points: Tensor, size: tuple[int, int], radius: float, encoding: str, scale: float = 1) -> Tensor:
    """Disks or distances, (B, 2, height, width), of points (B, 2N, 3)."""
    (batch, twice, _), radius = points.shape, radius * scale
    flat = points[..., :2].reshape(-1, 2)
    axes = [torch.arange(n, dtype=torch.float32, device=points.device) for n in size]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij")) - (flat * scale)[:, :, None, None]
    if encoding == "distance":
        offsets.div_(radius)
    squares = offsets.mul_(offsets)
    squared = torch.where(flat.amax(1)[:, None, None] < 0, 1e6, squares[:, 0] + squares[:, 1])
    least = squared.view(batch, 2, twice // 2, *size).amin(2)
    return (least <= radius**2).float() if encoding == "disk" else least.sqrt_().mul_(2).tanh_()
