"""The memory layout in which a model's convolutions run fastest."""

from __future__ import annotations

import torch
from torch import nn


def choose_layout(model: nn.Module, device: torch.device) -> None:
    """Lay out the model's weights for the device on which it will run, in place.

    On a CPU that is channels_last: IS-Net at 1024x1024 in float32 takes 0.93 s in place of 1.27 s, a training step a
    seventh less time (docs/training.md). Elsewhere nothing is changed.
    """
    if device.type == "cpu":
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
