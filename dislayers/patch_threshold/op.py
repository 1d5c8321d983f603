"""The op ``dislayers::patch_threshold``, and the function that people call."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.backend import Implementation
from dislayers._runtime.launch import in_triton
from dislayers._runtime.library import register
from dislayers._runtime.native import missing_kernel
from dislayers.patch_threshold import native, reference


class PatchThreshold(NamedTuple):
    """What :func:`patch_threshold` finds.

    Args:
        threshold: float32 (..., H / P, W / P), of each patch.
        iou: float32 of the same shape, what the best threshold scores.
        mask: bool (..., H, W), where the map exceeds its patch's threshold; contiguous.
    """

    threshold: Tensor
    iou: Tensor
    mask: Tensor


def _fake(probability: Tensor, mask: Tensor, patch_size: int, *_: object) -> tuple[Tensor, Tensor, Tensor]:
    *leading, height, width = probability.shape
    threshold = mask.new_empty((*leading, height // patch_size, width // patch_size), dtype=torch.float32)
    return threshold, torch.empty_like(threshold), mask.new_empty(mask.shape, dtype=torch.bool)


_patch_threshold = register(
    "dislayers::patch_threshold(Tensor probability, Tensor mask, int patch_size, str tie, str classes, bool literal)"
    " -> (Tensor, Tensor, Tensor)",
    reference.patch_threshold,
    _fake,
    kernels=[
        in_triton("dislayers.patch_threshold.kernel.launch_patch_threshold"),
        Implementation("native", native.patch_threshold, missing_kernel("patch_threshold")),
    ],
)


def patch_threshold(
    probability: Tensor,
    mask: Tensor,
    patch_size: int = 64,
    *,
    tie: Literal["first", "nearest_half"] = "first",
    classes: Literal["both", "fg"] = "both",
    literal: bool = False,
) -> PatchThreshold:
    """Threshold each patch of a map with the one of 0.05, 0.10, ... 0.95 that fits its mask best.

    With ``t_k = k / 20`` for k = 1 to 19 and ``[p > t_k]`` the patch at that threshold, the best k has the greatest
    mean of two intersections over unions, of the foreground and of the background; a union of no pixel counts as 1.

    Args:
        probability: (..., H, W), floats in [0, 1], or uint8, which is divided by 255; on CPU or CUDA.
        mask: bool or uint8 (nonzero is true) of the same shape.
        patch_size: side of a patch in pixels; it divides H and W.
        tie: which of equally good thresholds: the lowest ("first", as ``np.argmax``), or the one nearest to 0.5, of
            two such the lower ("nearest_half").
        classes: "both", or "fg" for the intersection over union of the foreground alone.
        literal: ``t_(k - 1)`` in place of ``t_k`` for the best k: the paper's formula as it is printed.

    Returns:
        The threshold and the score of each patch, (..., H / P, W / P), and the mask that they make, (..., H, W). None
        has a gradient.

    Raises:
        TypeError: probability is neither uint8 nor floating, mask neither bool nor uint8, or patch_size no int.
        ValueError: shapes or devices that differ, fewer than two dimensions, patch_size that does not divide H and W,
            or an unknown tie or classes.

    Numerics:
        Exact: a value exceeds a threshold where it does so in float64 (51 / 255 is ``t_4`` and does not exceed it), NaN
        never does; scores are computed and compared in float64. All three are then rounded or written once, so use
        ``mask``: a float32 threshold may lie on the other side of a float32 value. Deterministic; every implementation
        and any number of threads give the same bits. On a GPU one kernel runs, for float64 maps plain PyTorch.

    Source:
        ThreshNet, section 3.2. It prints ``th* = argmax * 0.05``, which an argmax that counts from 0 makes one step
        too low (``literal``). Ties are not mentioned there.
    """
    check.prediction("probability", probability)
    check.mask("mask", mask)
    check.matching("mask", mask, "probability", probability)
    check.count("patch_size", patch_size)
    check.one_of("tie", tie, tuple(reference.CANDIDATES))
    check.one_of("classes", classes, ("both", "fg"))
    if patch_size == 0 or any(side % patch_size for side in probability.shape[-2:]):
        raise ValueError(f"patch_size must divide the height and width, got {patch_size} for {tuple(mask.shape)}")
    return PatchThreshold(*_patch_threshold(probability.detach(), mask, patch_size, tie, classes, literal))
