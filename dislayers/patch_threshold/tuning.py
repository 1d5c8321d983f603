"""How the launch table is filled: see ``python -m dislayers.tune``."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dislayers._runtime.search import Tuning
from dislayers.patch_threshold import patch_threshold


def _step(patch: int, device: torch.device) -> Callable[[], object]:
    """Patches of a side, which fill a map."""
    probability = torch.rand(1, 1, 1024, 1024, device=device)
    mask = probability > 0.5
    return lambda: patch_threshold(probability, mask, patch_size=patch)


TUNING = {"blocks": Tuning(_step, sizes=(16, 32, 64, 128))}
