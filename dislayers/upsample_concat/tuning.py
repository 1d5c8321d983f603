"""How the launch table is filled: see ``python -m dislayers.tune``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch

from dislayers._runtime.search import Tuning
from dislayers.upsample_concat import upsample_concat

_CHANNELS = 64


def _step(side: int, device: torch.device) -> Callable[[], object]:
    """Forward and backward of a decoder's step to maps of a side, with as many channels from below as from beside."""
    x, skip = (
        torch.randn(1, _CHANNELS, n, n, device=device, dtype=torch.bfloat16, requires_grad=True)
        for n in (side // 2, side)
    )

    def step() -> object:
        result = upsample_concat(x, skip)
        return torch.autograd.grad(result, (x, skip), result.detach())

    return step


TUNING = {
    "blocks": Tuning(
        _step,
        lambda side: 2 * _CHANNELS * side * side,
        tuple(product((256, 512, 1024, 2048, 4096), (1, 4, 8))),
        sizes=(64, 256, 512),
    )
}
