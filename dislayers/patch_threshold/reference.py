"""The best of 19 thresholds of each patch in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = 20
"""Thresholds are k / STEPS in float64, for 0 < k < STEPS."""

CANDIDATES = {
    "first": tuple(range(1, STEPS)),
    "nearest_half": tuple(sorted(range(1, STEPS), key=lambda k: (abs(2 * k - STEPS), k))),
}
"""All k, in the order in which equally good ones are taken."""


def patch_threshold(
    probability: Tensor, mask: Tensor, patch_size: int, tie: str, classes: str, literal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Try every threshold on all patches, and take the first of the best."""
    values = probability.double() / 255 if probability.dtype == torch.uint8 else probability.double()
    patches, truths = _cut(values, patch_size), _cut(mask != 0, patch_size)
    candidates = CANDIDATES[tie]
    scores = torch.stack([_score(patches > k / STEPS, truths, classes) for k in candidates], -1)
    best = torch.tensor(candidates, device=scores.device)[scores.argmax(-1)]
    threshold = (best - int(literal)).double() / STEPS
    found = patches > threshold[..., None, None]
    joined = found.transpose(-2, -3).reshape(probability.shape).contiguous()
    return threshold.float(), scores.amax(-1).float(), joined


def _cut(planes: Tensor, patch_size: int) -> Tensor:
    """(..., H, W) as (..., H / P, W / P, P, P)."""
    rows, columns = (size // patch_size for size in planes.shape[-2:])
    tiled = planes.reshape(*planes.shape[:-2], rows, patch_size, columns, patch_size)
    return tiled.transpose(-2, -3)


def _score(found: Tensor, truths: Tensor, classes: str) -> Tensor:
    foreground = _iou(found, truths)
    return foreground if classes == "fg" else (foreground + _iou(~found, ~truths)) / 2


def _iou(found: Tensor, truths: Tensor) -> Tensor:
    """Of each patch; 1 where both are empty."""
    intersection, union = ((x).sum((-2, -1)).double() for x in (found & truths, found | truths))
    return torch.where(union > 0, intersection / union, 1.0)
