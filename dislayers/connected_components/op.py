"""The op ``dislayers::connected_components``, and the functions that people call."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.library import register
from dislayers._runtime.native import for_cpu
from dislayers.connected_components import kernel, reference


def _fake(mask: Tensor, connectivity: int) -> tuple[Tensor, Tensor]:
    return mask.new_empty(mask.shape, dtype=torch.int32), mask.new_empty(mask.shape[:-2], dtype=torch.int64)


_connected_components = register(
    "dislayers::connected_components(Tensor mask, int connectivity) -> (Tensor, Tensor)",
    reference.connected_components,
    _fake,
    kernels=[for_cpu("connected_components", kernel.connected_components)],
    backward=None,
)


def connected_components(mask: Tensor, connectivity: int = 8) -> tuple[Tensor, Tensor]:
    """Number the connected components of each image in the order of their first pixels, row by row.

    Args:
        mask: (..., H, W), bool or uint8 (nonzero is set), on CPU or CUDA.
        connectivity: 4 or 8 neighbours.

    Returns:
        labels: int32, of the mask's shape, contiguous: 0 for pixels that are not set, else 1, 2, ...
        count: int64 (...), components of each image. :func:`component_sizes` gives their numbers of pixels.

    Raises:
        TypeError: mask is neither bool nor uint8, or connectivity is no int.
        ValueError: mask has fewer than two dimensions, or connectivity is neither 4 nor 8.

    Numerics:
        Exact and deterministic. Images of a batch run on threads. There is no CUDA kernel yet: masks on a
        GPU are copied to the CPU.

    Source:
        The numbers of scikit-image's ``label(mask, connectivity=1 or 2)``; union-find over runs of two scans
        (Rosenfeld and Pfaltz, 1966).
    """
    check.mask("mask", mask)
    check.count("connectivity", connectivity)
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity must be 4 or 8, got {connectivity!r}")
    labels, count = _connected_components(mask, connectivity)
    return labels, count


def component_sizes(labels: Tensor, count: Tensor) -> Tensor:
    """The number of pixels of each component, by its label.

    Args:
        labels: int32 (..., H, W) as :func:`connected_components` gives them.
        count: int64 (...), its second result.

    Returns:
        int64 (..., N + 1) for the greatest count N: the pixels of label 0, which are not set, then of 1, 2, ...; 0
        for labels that an image does not have. ``component_sizes(labels, count)[..., 1:]`` are the components.

    Numerics:
        Exact. The shape depends on the data, so it waits for a GPU and cannot be traced.
    """
    bins = int(count.max()) + 1 if count.numel() else 1
    images = count.numel()
    offsets = torch.arange(0, images * bins, bins, dtype=torch.int64, device=labels.device).view(*count.shape, 1, 1)
    flat = labels.flatten() if images == 1 else (labels + offsets).flatten()
    return torch.bincount(flat, minlength=images * bins).view(*count.shape, bins)
