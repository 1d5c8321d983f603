"""Calls into ``csrc/click_maps.cpp``, which takes float32; float64 goes to the reference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dislayers._runtime.native import extension, workers
from dislayers.click_maps import reference


def click_maps(points: Tensor, size: Sequence[int], radius: float, scale: float, encoding: str) -> Tensor:
    """As :func:`dislayers.click_maps.reference.click_maps`."""
    assert extension is not None
    maps = torch.empty((len(points), 2, *size), dtype=torch.float32)
    if points.dtype == torch.float64 or maps.numel() == 0:
        return reference.click_maps(points, size, radius, scale, encoding)
    places, radius = reference.places(points, scale).contiguous(), radius * scale
    extension.click_maps_cpu(
        places.data_ptr(),
        places.shape[1],
        maps.data_ptr(),
        (len(places), *size),
        encoding,
        radius,
        reference.squared_reach(radius, encoding),
        *workers(),
    )
    return maps
