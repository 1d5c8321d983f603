"""How the launch tables are filled: see ``python -m dislayers.tune``."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dislayers._runtime.search import Tuning
from dislosses.feature_sync import feature_sync_loss


def _shapes(side: int) -> list[tuple[int, ...]]:
    """Six maps that shrink as IS-Net's do."""
    return [(1, 4 << i, side >> i + 2, side >> i + 2) for i in range(6)]


def _elements(side: int) -> int:
    return sum(torch.Size(shape).numel() for shape in _shapes(side))


def _step_of(distance: str) -> Callable[[int, torch.device], Callable[[], object]]:
    """Forward and backward of a distance."""

    def step(side: int, device: torch.device) -> Callable[[], object]:
        features, guides = ([torch.randn(x, device=device, dtype=torch.bfloat16) for x in _shapes(side)] for _ in "ab")
        leaves = [feature.requires_grad_() for feature in features]
        return lambda: torch.autograd.grad(feature_sync_loss(leaves, guides, distance), leaves)

    return step


TUNING = {
    "differences": Tuning(_step_of("mse"), _elements),
    "divergence": Tuning(_step_of("kl"), _elements),
}
