"""How the launch tables are filled: see ``python -m dislayers.tune``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import torch

from dislayers._runtime.search import Tuning
from dislayers.nmf import nmf

_CHANNELS, _RANK = 512, 64
_ROWS = "update_coefficients", "sum_over_pixels", "through_coefficients", "toward_x"
_BASES = "update_bases", "through_bases"


def _step_of(precision: str) -> Callable[[int, torch.device], Callable[[], object]]:
    """Forward and backward of a hamburger's map, with the products of a precision."""
    dtype = torch.float32 if precision == "tf32x3" else torch.bfloat16

    def step(side: int, device: torch.device) -> Callable[[], object]:
        x = torch.rand(1, _CHANNELS, side * side, device=device, dtype=dtype, requires_grad=True)
        bases = torch.rand(1, _CHANNELS, _RANK, device=device)
        return lambda: torch.autograd.grad(nmf(x, bases).sum(), x)

    return step


def _tuning(precision: str, pixels: tuple[int, ...]) -> Tuning:
    candidates = list(product(pixels, (16, 32, 64), (4, 8)))
    return Tuning(_step_of(precision), lambda side: _CHANNELS * side * side, candidates, (32, 64, 128))


TUNING = {
    f"{kernel} {precision}": _tuning(precision, pixels)
    for precision in ("tf32", "tf32x3")
    for kernels, pixels in ((_ROWS, (16, 32, 64)), (_BASES, (0,)))
    for kernel in kernels
}
