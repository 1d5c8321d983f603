"""Maps of clicks in plain PyTorch, one click of every map after another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Encoding = Literal["disk", "distance", "gaussian"]

_REACH = {"disk": 1, "distance": 21, "gaussian": 174}


def squared_reach(radius: float, encoding: str) -> float:
    """The squared distance beyond which a click changes nothing: tanh is 1 in float32, exp below its normal numbers."""
    return _REACH[encoding] * radius**2


def places(points: Tensor, scale: float) -> Tensor:
    """Scaled rows and columns of each map's clicks, (2 B, N, 2), in float32 at least; infinite where there is none."""
    found = points[..., :2].to(torch.promote_types(points.dtype, torch.float32))
    missing = found.amax(-1, keepdim=True) < 0
    batch, count = points.shape[:2]
    return torch.where(missing, math.inf, found * scale).reshape(2 * batch, count // 2, 2)


def click_maps(points: Tensor, size: Sequence[int], radius: float, scale: float, encoding: str) -> Tensor:
    """The squared distance of every pixel to its nearest click, and what is made of it."""
    clicks, (height, width) = places(points, scale), size
    rows, columns = (torch.arange(n, dtype=clicks.dtype, device=clicks.device) for n in size)
    least = clicks.new_full((len(clicks), height, width), math.inf)
    for click in clicks.unbind(1):
        down, across = rows - click[:, :1], columns - click[:, 1:]
        least = torch.minimum(least, down.square()[:, :, None] + across.square()[:, None, :])
    return _encoded(least, radius * scale, encoding).float().view(len(points), 2, height, width)


def _encoded(squared: Tensor, radius: float, encoding: str) -> Tensor:
    if encoding == "disk":
        return squared <= radius**2
    if encoding == "distance":
        return torch.tanh(2 * (squared.sqrt() / radius))
    return torch.exp(squared / (-2 * radius**2))
