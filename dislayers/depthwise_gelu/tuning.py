"""How the launch table is filled: see ``python -m dislayers.tune``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch

from dislayers._runtime.search import Tuning
from dislayers.depthwise_gelu import depthwise_gelu

_CHANNELS = 512
_STRIPS = tuple(product((9, 18, 33, 66), (128, 256, 512, 1024), (2, 4, 8)))


def _step(side: int, device: torch.device) -> Callable[[], object]:
    """Forward and backward of the MLP of an attention network's stage, channels_last."""
    x = torch.randn(1, _CHANNELS, side, side, device=device).bfloat16().to(memory_format=torch.channels_last)
    weight, bias = torch.randn(_CHANNELS, 1, 3, 3, device=device), torch.randn(_CHANNELS, device=device)
    leaves = [tensor.requires_grad_() for tensor in (x, weight, bias)]
    return lambda: torch.autograd.grad(depthwise_gelu(*leaves), leaves, x.detach())


TUNING = {"strips": Tuning(_step, lambda side: _CHANNELS * side * side, _STRIPS, (32, 64, 128, 256))}
