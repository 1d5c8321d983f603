"""Calls into ``csrc/skeletonize.cpp``."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import image_planes
from dislayers._runtime.native import extension

_BEST = len(extension.instruction_sets()) - 1 if extension else 0


def skeletonize(mask: Tensor) -> Tensor:
    """As :func:`dislayers.skeletonize.reference.skeletonize`."""
    assert extension is not None
    out = torch.empty_like(mask, dtype=torch.bool)
    if mask.numel() == 0:
        return out
    planes = image_planes(mask)
    dense = out if out.is_contiguous() else torch.empty(planes.shape, dtype=torch.bool)
    extension.skeletonize_cpu(
        planes.data_ptr(),
        (planes.stride(0), planes.stride(1)),
        dense.data_ptr(),
        tuple(planes.shape),
        torch.get_num_threads(),
        _BEST,
    )
    return out if dense is out else out.copy_(dense.view(mask.shape))
