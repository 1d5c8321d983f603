"""How the launch table is filled: see ``python -m dislayers.tune``."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dislayers._runtime.search import Tuning
from dislosses.bce import bce_loss
from dislosses.bce_iou import bce_iou_loss
from dislosses.focal import focal_loss
from dislosses.iou import iou_loss
from dislosses.normalized_focal import normalized_focal_loss

_LOSSES = bce_loss, iou_loss, bce_iou_loss, focal_loss, normalized_focal_loss


def _step(side: int, device: torch.device) -> Callable[[], object]:
    """Forward and backward of all losses that share the kernels."""
    logits = torch.randn(1, 1, side, side, device=device, dtype=torch.bfloat16, requires_grad=True)
    target = torch.rand(1, 1, side, side, device=device) > 0.5
    return lambda: [torch.autograd.grad(loss(logits, target), logits) for loss in _LOSSES]


TUNING = {"blocks": Tuning(_step)}
