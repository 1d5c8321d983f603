"""Calls into ``csrc/morphology.cpp`` and ``csrc/morphology.cu``."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import fill_planes, image_planes
from dislayers._runtime.native import best_instruction_set, extension
from dislayers.morphology.reference import Footprint, enough


def _addressed(planes: Tensor | None) -> tuple[int, tuple[int, int]]:
    return (0, (0, 0)) if planes is None else (planes.data_ptr(), (planes.stride(0), planes.stride(1)))


def _run(mask: Tensor, within: Tensor | None, iterations: int, footprint: Footprint, flip: bool) -> Tensor:
    allowed = None if within is None else image_planes(within)
    steps = enough(mask, iterations, within)
    square = footprint == "square"
    dilate_planes = _dilate_cuda if mask.is_cuda else _dilate_cpu
    return fill_planes(mask, lambda planes, out: dilate_planes(planes, allowed, out, steps, square, flip))


def _dilate_cpu(planes: Tensor, within: Tensor | None, out: Tensor, iterations: int, square: bool, flip: bool) -> None:
    assert extension is not None
    size, threads = tuple(planes.shape), torch.get_num_threads()
    images = *_addressed(planes), *_addressed(within), out.data_ptr()
    extension.dilate_cpu(*images, size, iterations, square, flip, threads, best_instruction_set)


def _dilate_cuda(planes: Tensor, within: Tensor | None, out: Tensor, iterations: int, square: bool, flip: bool) -> None:
    assert extension is not None
    most, left = extension.dilate_cuda_iterations, iterations
    with torch.cuda.device(planes.device):
        stream = torch.cuda.current_stream().cuda_stream
        while True:
            steps = min(left, most)
            left -= steps
            now = torch.empty_like(out) if left else out
            images = *_addressed(planes), *_addressed(within), now.data_ptr()
            extension.dilate_cuda(*images, tuple(out.shape), steps, square, flip, stream)
            if left == 0:
                return
            planes = now


def dilate(mask: Tensor, iterations: int, within: Tensor | None, footprint: Footprint) -> Tensor:
    """As :func:`dislayers.morphology.reference.dilate`."""
    return _run(mask, within, iterations, footprint, flip=False)


def erode(mask: Tensor, iterations: int, footprint: Footprint) -> Tensor:
    """As :func:`dislayers.morphology.reference.erode`."""
    return _run(mask, None, iterations, footprint, flip=True)
