"""Launches of the Triton kernels, and what is compiled ahead of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from dislayers._runtime.launch import ENDLESS, AheadOfTime, Blocks, blocks_for, launch_table
from dislayers._runtime.layout import format_of
from dislayers.upsample_concat import reference
from dislayers.upsample_concat.backward import gather_tiles
from dislayers.upsample_concat.forward import upsample_tiles

# Not tuned on a GPU yet: `python -m dislayers.tune` fills it.
BLOCKS = launch_table(
    "dislayers.upsample_concat",
    "blocks",
    default=[(ENDLESS, Blocks(1024, 4))],
    cpu=[(ENDLESS, Blocks(1 << 16, 4))],
)
# Columns of a tile of contiguous maps, and channels of a tile of channels_last.
_COLUMNS, _CHANNELS = 128, 64
_MOST_OFFSET = 1 << 31


def _constants(layout: torch.memory_format, shape: Sequence[int], dtype: torch.dtype, blocks: Blocks) -> dict[str, Any]:
    """The tile for a map (B, C, H, W): what lies side by side first."""
    _, channels, height, width = map(triton.next_power_of_2, shape)
    last = layout == torch.channels_last
    of_channels = min(channels, _CHANNELS) if last else 1
    columns = min(width, blocks.elements // of_channels, blocks.elements if last else _COLUMNS)
    rows = min(height, blocks.elements // of_channels // columns)
    of_channels = max(of_channels, min(channels, blocks.elements // columns // rows))
    accuracy = tl.float64 if dtype == torch.float64 else tl.float32
    return {"ROWS": rows, "COLUMNS": columns, "CHANNELS": of_channels, "ACCURACY": accuracy}


def _programs(shape: Sequence[int], channels: Sequence[int], constants: dict[str, Any]) -> tuple[int, int]:
    """For maps of so many channels beside each other in one of some shape (B, C, H, W): of a sample, and samples."""
    batch, _, height, width = shape
    tiles = -(-height // constants["ROWS"]) * -(-width // constants["COLUMNS"])
    return tiles * sum(-(-count // constants["CHANNELS"]) for count in channels), batch


def _fits(low: Tensor, *others: Tensor) -> bool:
    """Whether there is something to resize, with offsets inside a tile in 32 bits."""
    sides = all(2 * (m + 1) * n < _MOST_OFFSET for m, n in zip(low.shape[2:], others[0].shape[2:], strict=True))
    return (
        low.numel() > 0
        and low.shape[2:] != others[0].shape[2:]
        and sides
        and all(_reach(map_) < _MOST_OFFSET for map_ in (low, *others))
    )


def _reach(tensor: Tensor) -> int:
    """The largest offset of a pixel or of a channel in its block."""
    (_, channels, height, width), (_, of_channel, of_row, of_column) = tensor.shape, tensor.stride()
    in_block = min(channels, max(block.elements for rows in BLOCKS.values() for _, block in rows))
    return max(in_block * of_channel, height * of_row + width * of_column)


def launch_forward(x: Tensor, skip: Tensor) -> Tensor:
    """As :func:`dislayers.upsample_concat.reference.upsample_concat`."""
    result = reference.room(x, skip)
    if not _fits(x, skip, result):
        return reference.upsample_concat(x, skip)
    blocks = blocks_for(BLOCKS, x.device, result.numel())
    constants = _constants(format_of(skip), result.shape, x.dtype, blocks)
    programs = _programs(result.shape, (x.shape[1], skip.shape[1]), constants)
    with torch.cuda.device_of(x):
        upsample_tiles[programs](
            x,
            skip,
            result,
            *x.stride(),
            *skip.stride(),
            *result.stride(),
            x.shape[1],
            skip.shape[1],
            *x.shape[2:],
            *skip.shape[2:],
            **constants,
            num_warps=blocks.warps,
            enable_fp_fusion=True,
        )
    return result


def launch_backward(gradient: Tensor, size: Sequence[int]) -> Tensor:
    """As :func:`dislayers.upsample_concat.reference.backward`."""
    result = reference.room_for_gradient(gradient, size)
    if not _fits(result, gradient):
        return reference.backward(gradient, size)
    blocks = blocks_for(BLOCKS, result.device, result.numel())
    constants = _constants(format_of(gradient), result.shape, result.dtype, blocks)
    programs = _programs(result.shape, result.shape[1:2], constants)
    down, across = (triton.cdiv(2 * n, m) for m, n in zip(result.shape[2:], gradient.shape[2:], strict=True))
    with torch.cuda.device_of(result):
        gather_tiles[programs](
            gradient,
            result,
            *gradient.stride(),
            *result.stride(),
            *result.shape[1:],
            *gradient.shape[2:],
            DOWN=down,
            ACROSS=across,
            **constants,
            num_warps=blocks.warps,
            enable_fp_fusion=True,
        )
    return result


def _variant(kernel: Any, type_: str, layout: torch.memory_format, budget: float) -> AheadOfTime:
    """32 and 32 channels at twice 128x128."""
    blocks = BLOCKS["default"][-1][1]
    shape = (1, 64, 256, 256) if kernel is upsample_tiles else (1, 32, 128, 128)
    constants = _constants(layout, shape, torch.float32, blocks) | {"DOWN": 4, "ACROSS": 4}
    side_by_side = "_stride_c" if layout == torch.channels_last else "_stride_w"
    constants |= {name: 1 for name in kernel.arg_names if name.endswith(side_by_side)}
    return AheadOfTime.of(
        f"upsample_concat {kernel.__name__} {type_} {'channels_last' if side_by_side == '_stride_c' else 'contiguous'}",
        kernel,
        constants,
        dict.fromkeys(("x_ptr", "skip_ptr", "gradient_ptr", "out_ptr"), f"*{type_}"),
        blocks.warps,
        aligned=("_ptr", "_stride_b", "_stride_c", "_stride_h", "_stride_w", "channels", "height", "width"),
        elements=blocks.elements,
        budget=budget,
    )


AHEAD_OF_TIME = [
    _variant(upsample_tiles, "fp32", torch.contiguous_format, 75),
    _variant(upsample_tiles, "bf16", torch.contiguous_format, 79),
    _variant(upsample_tiles, "bf16", torch.channels_last, 45),
    _variant(gather_tiles, "fp32", torch.contiguous_format, 83),
    _variant(gather_tiles, "bf16", torch.contiguous_format, 85),
    _variant(gather_tiles, "bf16", torch.channels_last, 53),
]
