"""How the launch table is filled: see ``python -m dislayers.tune``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

import torch

from dislayers._runtime.search import Tuning
from dislayers.patch_local import patch_local

_BATCH, _CHANNELS, _SKIP, _GRID = 4, 64, 32, (8, 8)
_BLOCKS = tuple(product((256, 512, 1024, 2048), (2, 4, 8)))


def _step(side: int, device: torch.device) -> Callable[[], object]:
    """Forward and backward of a decoder level of ThreshNet, whose skip has a side."""
    half = side // 2
    maps = [(_CHANNELS, half), (_SKIP, side), (_SKIP, half), (_SKIP, half)]
    shapes = [*((_BATCH, channels, size, size) for channels, size in maps), (1, _SKIP, 1, 1), (1,)]
    leaves = [torch.randn(shape, device=device).bfloat16().requires_grad_() for shape in shapes]
    level = partial(patch_local, grid=_GRID)
    gradient = torch.ones_like(level(*leaves))
    return lambda: torch.autograd.grad(level(*leaves), leaves, gradient)


TUNING = {"blocks": Tuning(_step, lambda side: _BATCH * _SKIP * side * side, _BLOCKS, (128, 256, 512))}
