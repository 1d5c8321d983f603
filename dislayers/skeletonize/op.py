"""The op ``dislayers::skeletonize``, and the function that people call."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.library import register
from dislayers._runtime.native import for_cpu
from dislayers.skeletonize import kernel, reference


def _fake(mask: Tensor) -> Tensor:
    return torch.empty_like(mask, dtype=torch.bool)


_skeletonize = register(
    "dislayers::skeletonize(Tensor mask) -> Tensor",
    reference.skeletonize,
    _fake,
    kernels=[for_cpu("skeletonize", kernel.skeletonize)],
    backward=None,
)


def skeletonize(mask: Tensor) -> Tensor:
    """The skeleton of each image: lines of one pixel in the middle of every region, connected as the region is.

    Two sub-iterations in turn remove border pixels by a table of their eight neighbours, until none is left to remove.

    Args:
        mask: (..., H, W), bool or uint8 (nonzero is set), on CPU or CUDA.

    Returns:
        A bool mask of the same shape and layout.

    Raises:
        TypeError: mask is neither bool nor uint8.
        ValueError: mask has fewer than two dimensions.

    Numerics:
        Pixel for pixel scikit-image's ``skeletonize``, whose table differs from the published conditions in 25 of 256
        neighbourhoods. PyTorch's number of threads is used, over the images of a batch or over bands of a large image,
        and changes no pixel. There is no CUDA kernel yet: masks on a GPU are copied to the CPU.

    Source:
        Zhang and Suen (1984), as scikit-image's default method; the human correction effort (Qin et al., 2022,
        section 5) is defined with it.
    """
    check.mask("mask", mask)
    result: Tensor = _skeletonize(mask)
    return result
