"""The op ``dislayers::distance_transform``, the same with indices, and the function that people call."""

from __future__ import annotations

from typing import Literal, overload

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.library import register
from dislayers._runtime.native import for_cpu
from dislayers.distance_transform import kernel, reference


def _fake(mask: Tensor) -> Tensor:
    return mask.new_empty(mask.shape, dtype=torch.float32)


def _fake_indices(mask: Tensor) -> tuple[Tensor, Tensor]:
    return _fake(mask), mask.new_empty(mask.shape, dtype=torch.int64)


_distance_transform = register(
    "dislayers::distance_transform(Tensor mask) -> Tensor",
    reference.distance_transform,
    _fake,
    kernels=[for_cpu("distance_transform", kernel.distance_transform)],
    backward=None,
)
_distance_transform_indices = register(
    "dislayers::distance_transform_indices(Tensor mask) -> (Tensor, Tensor)",
    reference.distance_transform_indices,
    _fake_indices,
    kernels=[for_cpu("distance_transform", kernel.distance_transform_indices)],
    backward=None,
)


@overload
def distance_transform(mask: Tensor, return_indices: Literal[False] = False) -> Tensor: ...


@overload
def distance_transform(mask: Tensor, return_indices: Literal[True]) -> tuple[Tensor, Tensor]: ...


def distance_transform(mask: Tensor, return_indices: bool = False) -> Tensor | tuple[Tensor, Tensor]:
    """The exact Euclidean distance of every true pixel to the nearest false one; 0 for false pixels.

    ``D(y, x) = min sqrt((y - i)^2 + (x - j)^2)`` over the false pixels (i, j).

    Args:
        mask: (..., H, W), bool or uint8 (nonzero is true), on CPU or CUDA.
        return_indices: also say which false pixel is the nearest.

    Returns:
        Distances in pixels, float32 of the mask's shape, contiguous. With return_indices a pair: the distances and,
        int64 of the same shape, the flat index ``i * W + j`` of the nearest false pixel within its image, as
        ``torch.gather`` takes it; a false pixel has its own. Where an image has no false pixel, distances are inf and
        indices -1.

    Raises:
        TypeError: mask is neither bool nor uint8.
        ValueError: mask has fewer than two dimensions.

    Numerics:
        Squared distances are exact integers, roots correctly rounded: the float32 nearest to SciPy's float64. Indices
        are SciPy's: of equally near pixels that with the smallest column, then with the smallest row. Deterministic.
        Images of a batch, and bands of rows of each, run on threads; memory beside the results is less than a byte a
        pixel. There is no CUDA kernel yet: masks on a GPU are copied to the CPU.

    Source:
        Meijster, Roerdink and Hesselink (2000): columns, then rows. Rows here take the minima of a totally monotone
        matrix (Aggarwal et al., 1987), level by level, in place of the lower envelope of parabolas.
    """
    check.mask("mask", mask)
    if return_indices:
        distance, index = _distance_transform_indices(mask)
        return distance, index
    result: Tensor = _distance_transform(mask)
    return result
