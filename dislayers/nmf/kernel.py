"""Launches of the Triton kernels, and what is compiled ahead of time.

A step forward reads x twice, for its coefficients and for its bases, and stores nothing else of its size.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor

from dislayers._runtime.launch import AheadOfTime
from dislayers.nmf import reference
from dislayers.nmf.forward import sum_over_pixels, update_bases, update_coefficients

RANKS = (16, 32, 64)
# Pixels and channels of a tile, and warps; not tuned on a GPU yet.
_PIXELS, _CHANNELS, _WARPS = 64, 16, 8
# Spans that the pixels are cut into for sums over them, and pixels that one has at least.
_PARTS, _SPAN = 16, 256


def takes(x: Tensor, bases: Tensor) -> bool:
    """Whether the kernels take x and bases (..., R)."""
    return bases.shape[-1] in RANKS and x.numel() > 0 and torch.float64 not in (x.dtype, bases.dtype)


def _precision(x: Tensor) -> str:
    """Half precision is exact in TF32, of which three products have float32's accuracy."""
    return "tf32x3" if x.dtype == torch.float32 and torch.get_float32_matmul_precision() == "highest" else "tf32"


def _tiles(rank: int, precision: str) -> dict[str, Any]:
    return {
        "RANK": rank,
        "HEIGHT": _PIXELS,
        "WIDTH": _CHANNELS,
        "PRECISION": precision,
    }


def _options(**constants: Any) -> dict[str, Any]:
    return {**constants, "num_warps": _WARPS, "enable_fp_fusion": True}


def _spans(pixels: int) -> tuple[int, int]:
    """How many spans, and of how many pixels."""
    span = max(_SPAN, triton.cdiv(triton.cdiv(pixels, _PARTS), _PIXELS) * _PIXELS)
    return triton.cdiv(pixels, span), span


def _sums(x: Tensor, factor: Tensor, left: Tensor, right: Tensor, precision: str) -> Tensor:
    """``[factor^T x^T, left^T right]`` of each span: (B, spans, R, D + R), for three of (B, N, R)."""
    (batch, depth, pixels), rank = x.shape, factor.shape[2]
    parts, span = _spans(pixels)
    partial = torch.empty(batch, parts, rank, depth + rank, dtype=torch.float32, device=x.device)
    sum_over_pixels[(triton.cdiv(depth, _CHANNELS) + 1, parts, batch)](
        x,
        factor,
        left,
        right,
        partial,
        *x.stride(),
        factor.stride(0),
        left.stride(0),
        right.stride(0),
        depth,
        pixels,
        span,
        **_options(**_tiles(rank, precision)),
    )
    return partial


def launch_nmf_forward(x: Tensor, bases: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`dislayers.nmf.reference.forward`, for what :func:`takes` says."""
    batch, depth, pixels = x.shape
    rank, precision = bases.shape[2], _precision(x)
    kept, sums = reference.kept_by_step(x, bases, steps)
    kept[:, 0] = bases.mT
    result = torch.empty_like(x)
    coefficients = torch.empty(batch, pixels, rank, dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):
        for step in range(steps + 1):
            update_coefficients[(triton.cdiv(pixels, _PIXELS), batch)](
                x,
                kept,
                coefficients,
                result,
                *x.stride(),
                *result.stride(),
                kept.stride(0),
                coefficients.stride(0),
                0,
                depth,
                pixels,
                step,
                step + 1,
                LAST=step == steps,
                **_options(**_tiles(rank, precision)),
            )
            if step < steps:
                partial = _sums(x, coefficients, coefficients, coefficients, precision)
                update_bases[(triton.cdiv(depth, _CHANNELS), batch)](
                    partial,
                    kept,
                    sums,
                    kept.stride(0),
                    sums.stride(0),
                    depth,
                    partial.shape[1],
                    step,
                    **_options(RANK=rank, WIDTH=_CHANNELS, PRECISION=precision),
                )
    return result, kept, sums


def launch_nmf_backward(gradient: Tensor, x: Tensor, kept: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    return reference.backward(gradient, x, kept, sums)


def _variant(name: str, kernel: Any, type_: str, precision: str, **constants: Any) -> AheadOfTime:
    values = {"PRECISION": precision, "RANK": 64, "HEIGHT": _PIXELS, "WIDTH": _CHANNELS} | constants
    values = {key: value for key, value in values.items() if key in kernel.arg_names}
    types = {"x_ptr": type_, "result_ptr": type_, "gradient_ptr": type_}
    arguments = [argument for argument in kernel.arg_names if argument not in values]
    signature = {x: types.get(x, "*fp32" if x.endswith("_ptr") else "i32") for x in arguments}
    # Pixels side by side, as contiguous maps have them.
    values |= dict.fromkeys((x for x in arguments if x.endswith("stride_n")), 1)
    signature = {key: value for key, value in signature.items() if key not in values}
    counts = ("start", "stop", "step", "parts")
    aligned = [x for x in signature if x not in counts]
    return AheadOfTime(f"nmf {name} {type_[1:]} {precision}", kernel, signature, values, _WARPS, aligned=aligned)


AHEAD_OF_TIME = [
    _variant(name, kernel, type_, precision, **constants)
    for type_, precision in (("*bf16", "tf32"), ("*fp32", "tf32"), ("*fp32", "tf32x3"))
    for name, kernel, constants in (
        ("coefficients", update_coefficients, {"LAST": False}),
        ("coefficients, product", update_coefficients, {"LAST": True}),
        ("sums", sum_over_pixels, {}),
        ("bases", update_bases, {}),
    )
    if kernel is not update_bases or type_ == "*fp32"
]
