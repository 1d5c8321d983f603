"""How the launch table is filled: see ``python -m dislayers.tune``."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dislayers._runtime.search import Tuning
from dislosses.deep_supervision import deep_supervision_loss


def _step(side: int, device: torch.device) -> Callable[[], object]:
    """Forward and backward of IS-Net's six side outputs."""
    sides = (side >> i for i in range(1, 7))
    logits = [torch.randn(1, 1, n, n, device=device, dtype=torch.bfloat16, requires_grad=True) for n in sides]
    target = torch.rand(1, 1, side, side, device=device) > 0.5
    return lambda: torch.autograd.grad(deep_supervision_loss(logits, target), logits)


TUNING = {"blocks": Tuning(_step, lambda side: 6 * side * side)}
