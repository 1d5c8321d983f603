"""Launches of the Triton kernels, and what is compiled ahead of time.

Forward is one kernel. Backward is one that reads s, x and the gradient once and writes the gradients of x and of the
gate; the library's products of matrices then take that of the gate to s and to the weight.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from dislayers._runtime.launch import ENDLESS, AheadOfTime, architecture, blocks_for, launch_table
from dislayers._runtime.layout import stored_like, strides_fit
from dislayers._runtime.precision import precision_of_products
from dislayers.pointwise_gate import reference
from dislayers.pointwise_gate.backward import put_gradients
from dislayers.pointwise_gate.forward import put_gated


class Tile(NamedTuple):
    """Channels out, pixels, channels in at a time; warps."""

    rows: int
    columns: int
    channels: int
    warps: int


# Not tuned on a GPU yet: `python -m dislayers.tune` fills them.
TILES = {
    name: launch_table("dislayers.pointwise_gate", name, default=[(ENDLESS, Tile(64, 128, 32, 8))])
    for name in ("forward", "backward")
}


def _takes(*maps: Tensor) -> bool:
    return strides_fit(*maps) and maps[0].numel() > 0 and torch.float64 not in (x.dtype for x in maps)


def _constants(tile: Tile, dtype: torch.dtype, precision: str) -> dict[str, Any]:
    rows, columns, channels, _ = tile
    type_ = getattr(tl, str(dtype).removeprefix("torch."))
    return {"ROWS": rows, "COLUMNS": columns, "CHANNELS": channels, "TYPE": type_, "PRECISION": precision}


def _launch(kernel: Any, tile: Tile, s: Tensor, weight: Tensor, bias: Tensor, *maps: Tensor, **sums: Tensor) -> None:
    """Start a kernel, whose maps are (B, channels, N)."""
    (batch, channels, pixels), depth = s.shape, len(weight)
    # The interpreter cannot multiply bfloat16.
    dtype = torch.float32 if architecture(s.device) == "cpu" else s.dtype
    with torch.cuda.device_of(s):
        kernel[(triton.cdiv(depth, tile.rows) * triton.cdiv(pixels, tile.columns), batch)](
            *(s, weight.contiguous(), bias.contiguous(), *maps, *sums.values()),
            *(stride for map_ in (s, *maps) for stride in map_.stride()),
            *(channels, depth, pixels),
            **_constants(tile, dtype, precision_of_products(s)),
            num_warps=tile.warps,
            enable_fp_fusion=True,
        )


def launch_forward(s: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """As :func:`dislayers.pointwise_gate.reference.forward`, which runs for float64."""
    features, gated = s.flatten(2), x.flatten(2)
    if not _takes(features, gated):
        return reference.forward(s, weight, bias, x)
    result = torch.empty_like(gated)
    _launch(put_gated, blocks_for(TILES["forward"], x.device, x.numel()), features, weight, bias, gated, result)
    return stored_like(result.view(x.shape), x)


def launch_backward(gradient: Tensor, s: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> reference.Gradients:
    """As :func:`dislayers.pointwise_gate.reference.backward`, which runs for float64."""
    incoming, features, gated = gradient.flatten(2), s.flatten(2), x.flatten(2)
    if not _takes(features, gated, incoming):
        return reference.backward(gradient, s, weight, bias, x)
    tile, (batch, depth, pixels) = blocks_for(TILES["backward"], x.device, x.numel()), gated.shape
    d_x, d_gate = torch.empty_like(gated), torch.empty_like(gated, dtype=s.dtype)
    partial = torch.empty(batch, triton.cdiv(pixels, tile.columns), depth, dtype=torch.float32, device=s.device)
    _launch(put_gradients, tile, features, weight, bias, gated, incoming, d_x, d_gate, partial=partial)
    of_products = reference.products(d_gate.view(x.shape), s, weight)
    return *of_products, partial.sum((0, 1)).to(bias.dtype), stored_like(d_x.view(x.shape), x)


def _variant(direction: str, kernel: Any, dtype: torch.dtype, precision: str, layout: str) -> AheadOfTime:
    tile, short = TILES[direction]["default"][-1][1], {torch.float32: "fp32", torch.bfloat16: "bf16"}[dtype]
    strides = ("_stride_n",) if layout == "NCHW" else ("_stride_c", "_stride_d")
    constants = _constants(tile, dtype, precision) | {x: 1 for x in kernel.arg_names if x.endswith(strides)}
    types = {x: f"*{short}" for x in kernel.arg_names if x.endswith("_ptr") and x != "partial_ptr"}
    ends = ("_ptr", "_stride_b", "_stride_c", "_stride_d", "_stride_n", "channels", "depth", "pixels")
    name = f"pointwise_gate {direction} {short} {precision} {layout}"
    return AheadOfTime.of(name, kernel, constants, types, tile.warps, aligned=ends)


AHEAD_OF_TIME = [
    _variant(direction, kernel, dtype, precision, layout)
    for direction, kernel in (("forward", put_gated), ("backward", put_gradients))
    for (dtype, precision), layout in product(
        ((torch.bfloat16, "tf32"), (torch.float32, "tf32"), (torch.float32, "tf32x3")), ("NCHW", "channels_last")
    )
]
