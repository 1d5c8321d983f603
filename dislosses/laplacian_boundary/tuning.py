"""How the launch table is filled: see ``python -m dislayers.tune``."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dislayers._runtime.search import Tuning
from dislosses.laplacian_boundary import laplacian_boundary_loss


def _step(side: int, device: torch.device) -> Callable[[], object]:
    """Forward and backward of one map."""
    logits = torch.randn(1, 1, side, side, device=device, dtype=torch.bfloat16, requires_grad=True)
    target = torch.rand(1, 1, side, side, device=device) > 0.5
    return lambda: torch.autograd.grad(laplacian_boundary_loss(logits, target), logits)


TUNING = {"blocks": Tuning(_step)}
