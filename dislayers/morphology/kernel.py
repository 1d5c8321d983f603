"""Calls into ``csrc/morphology.cpp`` and ``csrc/morphology.cu``."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import image_planes
from dislayers._runtime.native import extension
from dislayers.morphology.reference import enough

_BEST = len(extension.instruction_sets()) - 1 if extension else 0


def _addressed(planes: Tensor | None) -> tuple[int, tuple[int, int]]:
    return (0, (0, 0)) if planes is None else (planes.data_ptr(), (planes.stride(0), planes.stride(1)))


def _run(mask: Tensor, within: Tensor | None, iterations: int, flip: bool) -> Tensor:
    out = torch.empty_like(mask, dtype=torch.bool)
    if mask.numel() == 0:
        return out
    planes = image_planes(mask)
    allowed = None if within is None else image_planes(within)
    if mask.is_cuda:
        dense = _dilate_cuda(planes, allowed, iterations, flip)
    else:
        dense = out if out.is_contiguous() else torch.empty(planes.shape, dtype=torch.bool)
        _dilate_cpu(planes, allowed, dense, iterations, flip)
    return out if dense is out else out.copy_(dense.view(mask.shape))


def _dilate_cpu(planes: Tensor, within: Tensor | None, out: Tensor, iterations: int, flip: bool) -> None:
    assert extension is not None
    size, steps = tuple(planes.shape), enough(planes, iterations, within)
    extension.dilate_cpu(
        *_addressed(planes), *_addressed(within), out.data_ptr(), size, steps, flip, torch.get_num_threads(), _BEST
    )


def _dilate_cuda(planes: Tensor, within: Tensor | None, iterations: int, flip: bool) -> Tensor:
    assert extension is not None
    size, most = tuple(planes.shape), extension.dilate_cuda_iterations
    left = enough(planes, iterations, within)
    with torch.cuda.device(planes.device):
        stream = torch.cuda.current_stream().cuda_stream
        while True:
            steps = min(left, most)
            out = torch.empty(size, dtype=torch.bool, device=planes.device)
            extension.dilate_cuda(*_addressed(planes), *_addressed(within), out.data_ptr(), size, steps, flip, stream)
            planes, left = out, left - steps
            if left == 0:
                return out


def dilate(mask: Tensor, iterations: int, within: Tensor | None) -> Tensor:
    """As :func:`dislayers.morphology.reference.dilate`."""
    return _run(mask, within, iterations, flip=False)


def erode(mask: Tensor, iterations: int) -> Tensor:
    """As :func:`dislayers.morphology.reference.erode`."""
    return _run(mask, None, iterations, flip=True)
