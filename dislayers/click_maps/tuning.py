"""How the launch table is filled: see ``python -m dislayers.tune``."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dislayers._runtime.search import Tuning
from dislayers.click_maps import click_maps


def _step(side: int, device: torch.device) -> Callable[[], object]:
    """Distances to 24 positive and 24 negative clicks."""
    points = torch.rand(1, 48, 3, device=device) * side
    return lambda: click_maps(points, (side, side), 260, "distance")


TUNING = {"blocks": Tuning(_step, lambda side: 2 * side * side)}
