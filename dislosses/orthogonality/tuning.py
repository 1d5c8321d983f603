"""How the launch table is filled: see ``python -m dislayers.tune``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch

from dislayers._runtime.search import Tuning
from dislosses.orthogonality import orthogonality_loss


def _shapes(width: int) -> list[tuple[int, ...]]:
    """Convolutions as those of an encoder and a decoder."""
    shapes: list[tuple[int, ...]] = [(width << i, width << i, 3, 3) for i in range(4)]
    return shapes * 4


def _elements(width: int) -> int:
    return sum(torch.Size(shape).numel() for shape in _shapes(width))


def _step(width: int, device: torch.device) -> Callable[[], object]:
    """Forward and backward of all weights."""
    weights = [torch.randn(shape, device=device, requires_grad=True) for shape in _shapes(width)]
    return lambda: torch.autograd.grad(orthogonality_loss(weights), weights)


TUNING = {"tiles": Tuning(_step, _elements, tuple(product((32, 64, 128), (32, 64, 128), (32,), (4, 8))), (16, 32, 64))}
