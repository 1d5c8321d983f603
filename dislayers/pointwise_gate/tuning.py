"""How the launch tables are filled: see ``python -m dislayers.tune``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch

from dislayers._runtime.search import Tuning
from dislayers.pointwise_gate import pointwise_gate

_CHANNELS = 128
_TILES = tuple(product((32, 64, 128), (64, 128, 256), (32, 64), (4, 8)))


def _step(side: int, device: torch.device) -> Callable[[], object]:
    """Forward and backward of a stage of an attention network, channels_last."""
    shape = 1, _CHANNELS, side, side
    s, x = (torch.randn(shape, device=device).bfloat16().to(memory_format=torch.channels_last) for _ in "sx")
    weight, bias = torch.randn(_CHANNELS, _CHANNELS, 1, 1, device=device), torch.randn(_CHANNELS, device=device)
    leaves = [tensor.requires_grad_() for tensor in (s, weight, bias, x)]
    return lambda: torch.autograd.grad(pointwise_gate(*leaves), leaves, x.detach())


TUNING = {
    name: Tuning(_step, lambda side: _CHANNELS * side * side, _TILES, (32, 128, 256))
    for name in ("forward", "backward")
}
