"""How the launch table is filled: see ``python -m dislayers.tune``."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dislayers._runtime.search import Tuning
from dislayers.conv_norm_act import batch_norm_relu

_CHANNELS = 64


def _step(side: int, device: torch.device) -> Callable[[], object]:
    """Forward and backward of a unit before a pooling."""
    x = torch.randn(1, _CHANNELS, side, side, device=device, dtype=torch.bfloat16, requires_grad=True)
    weight, bias = torch.ones(2, _CHANNELS, device=device)

    def step() -> object:
        out, pooled, *_ = batch_norm_relu(x, weight, bias, pool=True)
        assert pooled is not None
        return torch.autograd.grad([out, pooled], x, [out.detach(), pooled.detach()])

    return step


TUNING = {"blocks": Tuning(_step, lambda side: _CHANNELS * side * side, sizes=(64, 256, 512))}
