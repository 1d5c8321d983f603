"""What launches the Triton kernels of strips of columns."""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from dislayers._runtime.launch import ENDLESS, AheadOfTime, Blocks, blocks_for, launch_table
from dislayers._runtime.layout import bool_as_uint8, filled, image_planes
from dislosses.laplacian_boundary import reference
from dislosses.laplacian_boundary.backward import gradients_of_strips
from dislosses.laplacian_boundary.forward import join, sums_of_strips
from dislosses.laplacian_boundary.strips import OWN, STRIP

# Not tuned on a GPU yet: `python -m dislayers.tune` fills it. A warp has one strip.
BLOCKS = launch_table(
    "dislosses.laplacian_boundary",
    "blocks",
    default=[(1 << 18, Blocks(512, 1)), (1 << 22, Blocks(1024, 1)), (ENDLESS, Blocks(2048, 1))],
    cpu=[(ENDLESS, Blocks(1 << 16, 16))],
)
_JOINED = 1024


def _prepared(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Blocks]:
    blocks = blocks_for(BLOCKS, logits.device, logits.numel())
    return image_planes(logits), image_planes(bool_as_uint8(target)), blocks


def _constants(edge: str, kernel: int, input: str, blocks: Blocks) -> dict[str, object]:
    return {"EDGE": edge, "KERNEL": kernel, "LOGITS": input == "logits", "STRIPS": blocks.warps}


def _sizes(logits: Tensor, target: Tensor, blocks: Blocks) -> tuple[int, ...]:
    """Strides, planes, height, width, strips a plane and rows a program."""
    planes, height, width = logits.shape
    rows = min(blocks.elements // (STRIP * blocks.warps), height)
    strides = (*logits.stride()[:2], *target.stride()[:2])
    return *strides, planes, height, width, triton.cdiv(width, OWN), rows


def launch_forward(logits: Tensor, target: Tensor, edge: str, kernel: int, input: str) -> Tensor:
    """As :func:`dislosses.laplacian_boundary.reference.laplacian_boundary`."""
    if logits.dtype == torch.float64 or logits.numel() == 0:
        return reference.laplacian_boundary(logits, target, edge, kernel, input)
    batch, pixels = len(logits), logits[0].numel()
    logits, target, blocks = _prepared(logits, target)
    sizes = _sizes(logits, target, blocks)
    *_, planes, height, _, strips, rows = sizes
    bands = triton.cdiv(height, rows)
    partial = torch.empty(planes * strips * bands, dtype=torch.float32, device=logits.device)
    loss = torch.empty(batch, dtype=torch.float32, device=logits.device)
    with torch.cuda.device_of(logits):
        sums_of_strips[(triton.cdiv(planes * strips, blocks.warps), bands)](
            logits,
            target,
            partial,
            *sizes,
            **_constants(edge, kernel, input, blocks),
            num_warps=blocks.warps,
            enable_fp_fusion=True,
        )
        join[(batch,)](partial, loss, len(partial) // batch, pixels, BLOCK=_JOINED, num_warps=4)
    return loss


def launch_backward(gradient: Tensor, logits: Tensor, target: Tensor, edge: str, kernel: int, input: str) -> Tensor:
    """As :func:`dislosses.laplacian_boundary.reference.backward`."""
    if logits.dtype == torch.float64 or logits.numel() == 0:
        return reference.backward(gradient, logits, target, edge, kernel, input)
    batch, pixels, result = len(logits), logits[0].numel(), torch.empty_like(logits)
    out = result if result.is_contiguous() else torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)
    logits, target, blocks = _prepared(logits, target)
    sizes = _sizes(logits, target, blocks)
    *_, planes, height, _, strips, rows = sizes
    with torch.cuda.device_of(logits):
        gradients_of_strips[(triton.cdiv(planes * strips, blocks.warps), triton.cdiv(height, rows))](
            gradient,
            logits,
            target,
            out,
            gradient.stride(0),
            *sizes,
            planes // batch,
            4 / pixels,
            **_constants(edge, kernel, input, blocks),
            num_warps=blocks.warps,
            enable_fp_fusion=True,
        )
    return filled(result, out)


def _variant(direction: str, kernel: object, logits: str, target: str, budget: float) -> AheadOfTime:
    types = {"logits_ptr": f"*{logits}", "target_ptr": f"*{target}", "result_ptr": f"*{logits}", "scale": "fp32"}
    blocks = BLOCKS["default"][-1][1]
    return AheadOfTime.of(
        # An element is one of a row: all instructions for a single row, of which the loop over rows is half.
        f"laplacian_boundary {direction} {logits} {target}, a row",
        kernel,
        _constants("abs", 8, "logits", blocks),
        types,
        blocks.warps,
        aligned=("_ptr", "_stride_n", "_stride_h", "height", "width"),
        elements=STRIP * blocks.warps,
        budget=budget,
    )


AHEAD_OF_TIME = [
    _variant("forward", sums_of_strips, "fp32", "fp32", 130),
    _variant("forward", sums_of_strips, "bf16", "u8", 130),
    _variant("backward", gradients_of_strips, "fp32", "fp32", 156),
    _variant("backward", gradients_of_strips, "bf16", "u8", 156),
    AheadOfTime.of("laplacian_boundary join", join, {"BLOCK": _JOINED}, {}, 4, aligned=()),
]
