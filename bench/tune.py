"""``python -m bench.tune normalized_focal``: rows of a kernel's launch table for the GPU at hand.

Every cut into blocks is timed, forward and backward, for each size class; the fastest are printed as a row of
``BLOCKS`` in the ``kernel.py`` of the op, or of what several ops share, where a person puts them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor
from torch.utils.benchmark import Timer

from dislayers import click_maps, patch_threshold
from dislayers._runtime.launch import Blocks, architecture
from dislayers.click_maps import kernel as click_maps_kernel
from dislayers.patch_threshold import kernel as patch_threshold_kernel
from dislosses import (
    bce_iou_loss,
    bce_loss,
    deep_supervision_loss,
    feature_sync_loss,
    focal_loss,
    iou_loss,
    laplacian_boundary_loss,
    normalized_focal_loss,
)
from dislosses._pixel_loss import kernel as pixel_loss
from dislosses.deep_supervision import kernel as deep_supervision
from dislosses.feature_sync import kernel as feature_sync
from dislosses.laplacian_boundary import kernel as laplacian_boundary

CANDIDATES = [Blocks(elements, warps) for elements, warps in product((1024, 2048, 4096, 8192, 16384, 32768), (1, 4, 8))]
SIDES = (512, 1024, 2048)

Step = Callable[[int, torch.device], Callable[[], object]]


def step_of(loss: Callable[[Tensor, Tensor], Tensor]) -> Step:
    """Forward and backward of a loss of logits."""

    def make_step(side: int, device: torch.device) -> Callable[[], object]:
        logits = torch.randn(1, 1, side, side, device=device, dtype=torch.bfloat16, requires_grad=True)
        target = torch.rand(1, 1, side, side, device=device) > 0.5
        return lambda: torch.autograd.grad(loss(logits, target), logits)

    return make_step


def deep_supervision_step(side: int, device: torch.device) -> Callable[[], object]:
    """Forward and backward of IS-Net's six side outputs."""
    logits = [torch.randn(1, 1, side >> i, side >> i, device=device, dtype=torch.bfloat16) for i in range(1, 7)]
    target = torch.rand(1, 1, side, side, device=device) > 0.5
    leaves = [x.requires_grad_() for x in logits]
    return lambda: torch.autograd.grad(deep_supervision_loss(leaves, target), leaves)


def feature_sync_step(side: int, device: torch.device) -> Callable[[], object]:
    """Six maps that shrink as IS-Net's do, of about side² elements in all."""
    shapes = [(1, 4 << i, side >> i + 2, side >> i + 2) for i in range(6)]
    features = [torch.randn(shape, device=device, dtype=torch.bfloat16, requires_grad=True) for shape in shapes]
    guides = [torch.randn_like(feature, requires_grad=False) for feature in features]
    return lambda: torch.autograd.grad(feature_sync_loss(features, guides), features)


def click_maps_step(side: int, device: torch.device) -> Callable[[], object]:
    """Distances to 24 positive and 24 negative clicks."""
    points = torch.rand(1, 48, 3, device=device) * side
    return lambda: click_maps(points, (side, side), 260, "distance")


def patch_threshold_step(side: int, device: torch.device) -> Callable[[], object]:
    """All patches of a map; blocks go by the pixels of a patch, so another ``patch_size`` tunes another row."""
    probability = torch.rand(1, 1, side, side, device=device)
    mask = probability > 0.5
    return lambda: patch_threshold(probability, mask, patch_size=64)


STEPS = {
    "bce": (pixel_loss, step_of(bce_loss)),
    "iou": (pixel_loss, step_of(iou_loss)),
    "bce_iou": (pixel_loss, step_of(bce_iou_loss)),
    "focal": (pixel_loss, step_of(focal_loss)),
    "normalized_focal": (pixel_loss, step_of(normalized_focal_loss)),
    "laplacian_boundary": (laplacian_boundary, step_of(laplacian_boundary_loss)),
    "deep_supervision": (deep_supervision, deep_supervision_step),
    "feature_sync": (feature_sync, feature_sync_step),
    "click_maps": (click_maps_kernel, click_maps_step),
    "patch_threshold": (patch_threshold_kernel, patch_threshold_step),
}


def median_microseconds(step: Callable[[], object]) -> float:
    step()
    return Timer("step()", globals={"step": step}).blocked_autorange(min_run_time=0.3).median * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("op", choices=STEPS)
    kernel, make_step = STEPS[parser.parse_args().op]
    if not torch.cuda.is_available():
        parser.error("a GPU is needed: there is nothing to tune on a CPU")
    device = torch.device("cuda", torch.cuda.current_device())
    for side in SIDES:
        step, times = make_step(side, device), {}
        for blocks in CANDIDATES:
            kernel.BLOCKS = {"default": [(1 << 62, blocks)]}
            times[blocks] = median_microseconds(step)
        best = min(times, key=times.__getitem__)
        print(f'"{architecture(device)}", up to {side * side} elements: {best} ({times[best]:.1f} us)')


if __name__ == "__main__":
    main()
