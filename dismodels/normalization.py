"""How a model wants its image's values."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


class Normalization(NamedTuple):
    """``(x / 255 - mean) / std``, the same for every channel where one number stands.

    Calling it maps a uint8 image tensor (B, C, H, W) to float32 of the same shape.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, image: Tensor) -> Tensor:
        """Normalise image, uint8 of shape (B, C, H, W); TypeError or ValueError says what else came."""
        if image.dtype != torch.uint8:
            raise TypeError(f"image must be uint8 in [0, 255], got {image.dtype}")
        if len(self.mean) not in (1, image.shape[1]):
            raise ValueError(f"image must have {len(self.mean)} channels for this normalisation, got {image.shape[1]}")
        return (image.float() / 255 - _constants(self.mean, image.device)) / _constants(self.std, image.device)


# What networks pretrained on ImageNet take, of RGB.
IMAGENET = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@cache
def _constants(values: tuple[float, ...], device: torch.device) -> Tensor:
    # Kept: making them for every batch would have the host wait for the GPU.
    return torch.tensor(values, device=device).view(-1, 1, 1)
