"""Calls into ``csrc/laplacian_boundary.cpp``, which takes float32 and masks; float64 goes to the reference."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import image_planes
from dislayers._runtime.native import extension, workers
from dislosses.labels import check_labels
from dislosses.laplacian_boundary import reference
from dislosses.precision import uint8_or_float32


def forward(logits: Tensor, target: Tensor, edge: str, kernel: int, input: str) -> Tensor:
    """As :func:`dislosses.laplacian_boundary.reference.laplacian_boundary`."""
    assert extension is not None
    if logits.dtype == torch.float64 or logits.numel() == 0:
        return reference.laplacian_boundary(logits, target, edge, kernel, input)
    check_labels(target)
    planes, labels = image_planes(logits.float()), image_planes(uint8_or_float32(target))
    sums = torch.empty(len(planes), dtype=torch.float64)
    extension.laplacian_boundary_cpu(*_described(planes, labels, edge, kernel, input), sums.data_ptr(), *workers())
    return (sums.view(len(logits), -1).sum(1) / logits[0].numel()).float()


def backward(gradient: Tensor, logits: Tensor, target: Tensor, edge: str, kernel: int, input: str) -> Tensor:
    """As :func:`dislosses.laplacian_boundary.reference.backward`."""
    assert extension is not None
    if logits.dtype == torch.float64 or logits.numel() == 0:
        return reference.backward(gradient, logits, target, edge, kernel, input)
    planes, labels = image_planes(logits.float()), image_planes(uint8_or_float32(target))
    scales = (gradient / logits[0].numel()).repeat_interleave(len(planes) // len(logits))
    result = torch.empty_like(logits)
    direct = result.dtype == torch.float32 and result.is_contiguous()
    out = result if direct else torch.empty(logits.shape, dtype=torch.float32)
    extension.laplacian_boundary_backward_cpu(
        *_described(planes, labels, edge, kernel, input),
        scales.data_ptr(),
        out.data_ptr(),
        *workers(),
    )
    return result if direct else result.copy_(out)


def _described(planes: Tensor, labels: Tensor, edge: str, kernel: int, input: str) -> tuple[object, ...]:
    """What both functions take first."""
    images = (planes.data_ptr(), planes.stride()[:2], labels.data_ptr(), labels.element_size(), labels.stride()[:2])
    return *images, tuple(planes.shape), input == "logits", edge == "abs", kernel == 4
