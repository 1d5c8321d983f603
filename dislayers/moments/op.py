"""The op ``dislayers::moments``, and the function that people call."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.backend import Implementation
from dislayers._runtime.library import register
from dislayers._runtime.native import missing_kernel
from dislayers.moments import kernel, reference


def _fake(mask: Tensor) -> Tensor:
    return mask.new_empty((*mask.shape[:-2], 3), dtype=torch.int64)


_moments = register(
    "dislayers::moments(Tensor mask) -> Tensor",
    reference.moments,
    _fake,
    kernels=[Implementation("native", kernel.moments, missing_kernel("moments"))],
    backward=None,
)


def moments(mask: Tensor) -> Tensor:
    """The number of set pixels of each image, and the sums of their row and of their column indices.

    The centroid is at (sum of rows, sum of columns) / number.

    Args:
        mask: (..., H, W), bool or uint8 (nonzero is set), on CPU or CUDA.

    Returns:
        int64 (..., 3): the raw moments M00, M10 and M01, rows first.

    Raises:
        TypeError: mask is neither bool nor uint8.
        ValueError: mask has fewer than two dimensions.

    Numerics:
        Exact. Images of a batch run on threads. There is no CUDA kernel yet: on a GPU plain PyTorch runs.

    Source:
        scikit-image's ``moments(mask, order=1)``, in integers.
    """
    check.mask("mask", mask)
    result: Tensor = _moments(mask)
    return result
