"""The ops ``dislayers::dilate`` and ``dislayers::erode``, and the functions that people call."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.backend import Implementation
from dislayers._runtime.library import register
from dislayers._runtime.native import missing_kernel
from dislayers.morphology import kernel, reference
from dislayers.morphology.reference import Footprint

FOOTPRINTS = get_args(Footprint)


def _fake(mask: Tensor, *_: object) -> Tensor:
    return torch.empty_like(mask, dtype=torch.bool)


_dilate = register(
    "dislayers::dilate(Tensor mask, int iterations, Tensor? within, str footprint) -> Tensor",
    reference.dilate,
    _fake,
    kernels=[Implementation("native", kernel.dilate, missing_kernel("dilate"))],
    backward=None,
)
_erode = register(
    "dislayers::erode(Tensor mask, int iterations, str footprint) -> Tensor",
    reference.erode,
    _fake,
    kernels=[Implementation("native", kernel.erode, missing_kernel("dilate"))],
    backward=None,
)


def erode(mask: Tensor, iterations: int = 1, footprint: Footprint = "cross") -> Tensor:
    """Erosion with the 3x3 cross or square: a pixel stays if it and its four, or eight, neighbours are set.

    Args:
        mask: (..., H, W), bool or uint8 (nonzero is set), on CPU or CUDA.
        iterations: how often, at least 0; all run in one pass over memory.
        footprint: "cross", the four neighbours that share an edge, or "square", all eight.

    Returns:
        A bool mask of the same shape and layout, always a new one.

    Raises:
        TypeError: mask is neither bool nor uint8, or iterations is no int.
        ValueError: mask has fewer than two dimensions, iterations is negative, or footprint is another word.

    Numerics:
        Exact and deterministic. Neighbours outside the image are ignored, as OpenCV and scikit-image do: a mask that
        is set everywhere stays so.

    Source:
        Cross: scikit-image's ``erosion(mask, disk(1))`` of the official HCE code (Qin et al., 2022, section 5). Square:
        OpenCV's 3x3 rectangle of Boundary IoU (Cheng et al., 2021, section 4).
    """
    check.mask("mask", mask)
    check.count("iterations", iterations)
    check.one_of("footprint", footprint, FOOTPRINTS)
    result: Tensor = _erode(mask, iterations, footprint)
    return result


def dilate(mask: Tensor, iterations: int = 1, within: Tensor | None = None, footprint: Footprint = "cross") -> Tensor:
    """Dilation with the 3x3 cross or square: a pixel is set if it or one of its four, or eight, neighbours is set.

    Args:
        mask: (..., H, W), bool or uint8 (nonzero is set), on CPU or CUDA.
        iterations: how often, at least 0; all run in one pass over memory.
        within: mask of the same shape; geodesic dilation: every iteration clears the pixels where within is not set.
        footprint: "cross", the four neighbours that share an edge, or "square", all eight.

    Returns:
        A bool mask of the same shape and layout, always a new one.

    Raises:
        TypeError: mask or within is neither bool nor uint8, or iterations is no int.
        ValueError: mask has fewer than two dimensions, within differs in shape or device, iterations is negative, or
            footprint is another word.

    Numerics:
        Exact and deterministic. Outside the image nothing is set.

    Source:
        Cross: scikit-image's ``dilation(mask, disk(1))``, with ``logical_and`` after each step, of the official HCE
        code (Qin et al., 2022, section 5).
    """
    check.mask("mask", mask)
    check.count("iterations", iterations)
    check.one_of("footprint", footprint, FOOTPRINTS)
    if within is not None:
        check.mask("within", within)
        check.matching("within", within, "mask", mask)
    result: Tensor = _dilate(mask, iterations, within, footprint)
    return result
