"""Launches of the Triton kernels, and what is compiled ahead of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import triton
from torch import Tensor

from dislayers._runtime.launch import ENDLESS, AheadOfTime, Blocks, blocks_for, launch_table
from dislayers._runtime.layout import channels_side_by_side, strides_fit
from dislayers.patch_local import reference
from dislayers.patch_local.backward import through_concatenation, through_gate
from dislayers.patch_local.forward import attend, concatenate
from dislayers.patch_local.patches import by_patch_of

# Elements of a tile before it is upsampled. Not tuned on a GPU yet: `python -m dislayers.tune` fills it.
BLOCKS = launch_table(
    "dislayers.patch_local",
    "blocks",
    default=[(ENDLESS, Blocks(512, 4))],
    cpu=[(ENDLESS, Blocks(1 << 12, 4))],
)
_NEIGHBOURS = 64


class _Level:
    """The patches of a decoder level: their grid, and their size before they are upsampled."""

    def __init__(self, x: Tensor, grid: Sequence[int]) -> None:
        self.grid, (batch, _, height, width) = tuple(grid), x.shape
        self.size = height // (2 * grid[0]), width // (2 * grid[1])
        self.patches = batch * grid[0] * grid[1]
        self.blocks = blocks_for(BLOCKS, x.device, x.numel())

    def strides(self, *maps: Tensor) -> list[tuple[int, ...]]:
        """Those of maps or patches of the level's size: sample, row and column of patches, channel, row, column."""
        return [by_patch_of(x, self.grid, self.size).stride() for x in maps]

    def strides_of_doubled(self, *maps: Tensor) -> list[tuple[int, ...]]:
        """The same of twice the size."""
        return [by_patch_of(x, self.grid, [2 * side for side in self.size]).stride() for x in maps]

    def programs(self, tile: Mapping[str, int]) -> int:
        """Tiles of all patches."""
        down, across = self._tiles(tile)
        return self.patches * down * across

    def launch(
        self, kernel: Any, blocks_of_channels: int, tile: Mapping[str, int], warps: int, *arguments: Any
    ) -> None:
        """Start a program for every tile and block of channels; the level's own arguments stand last."""
        kernel[(self.programs(tile), blocks_of_channels)](
            *arguments, *self.size, *self.grid, *self._tiles(tile), **tile, num_warps=warps, enable_fp_fusion=True
        )

    def tile(self, like: Tensor, channels: int) -> tuple[dict[str, int], int]:
        """Channels, rows and columns of a tile of maps that lie in memory like one, and warps."""
        elements, warps = self.blocks
        return _tile(elements, channels, *self.size, channels_side_by_side(like)), warps

    def _tiles(self, tile: Mapping[str, int]) -> tuple[int, int]:
        return triton.cdiv(self.size[0], tile["ROWS"]), triton.cdiv(self.size[1], tile["COLUMNS"])


def _tile(elements: int, channels: int, height: int, width: int, last: bool) -> dict[str, int]:
    """A stretch of what are neighbours in memory, as many more columns or rows as channels allow, and the rest."""
    deep, high, wide = (triton.next_power_of_2(side) for side in (channels, height, width))
    if last:
        deep = min(deep, _NEIGHBOURS)
        wide = min(wide, max(elements // deep // 4, 1))
        high = min(high, elements // deep // wide)
    else:
        wide = min(wide, _NEIGHBOURS)
        high = min(high, max(elements // wide // 4, 1))
        deep = min(deep, elements // wide // high)
    return {"CHANNELS": deep, "ROWS": high, "COLUMNS": wide}


def _takes(*tensors: Tensor) -> bool:
    return all(x.numel() > 0 and x.dtype != torch.float64 for x in tensors) and strides_fit(*tensors)


def _attention(level: _Level, gate_g: Tensor, gate_x: Tensor, psi_weight: Tensor, psi_bias: Tensor) -> Tensor:
    attention = torch.empty((level.patches, *level.size), dtype=torch.float32, device=gate_x.device)
    channels = gate_g.shape[1]
    level.launch(
        attend,
        1,
        *level.tile(gate_g, channels),
        gate_g,
        gate_x,
        psi_weight,
        psi_bias,
        attention,
        *level.strides(gate_g, gate_x),
        psi_weight.stride(1),
        channels,
    )
    return attention


def launch_forward(
    g: Tensor, x: Tensor, gate_g: Tensor, gate_x: Tensor, psi_weight: Tensor, psi_bias: Tensor, grid: Sequence[int]
) -> Tensor:
    """As :func:`dislayers.patch_local.reference.patch_local`, which runs for float64."""
    if not _takes(g, x, gate_g, gate_x, psi_weight, psi_bias):
        return reference.patch_local(g, x, gate_g, gate_x, psi_weight, psi_bias, grid)
    level, result, (of_g, of_x) = _Level(x, grid), reference.room(g, x, grid), (g.shape[1], x.shape[1])
    tile, warps = level.tile(result, max(of_g, of_x))
    with torch.cuda.device_of(x):
        level.launch(
            concatenate,
            triton.cdiv(of_g, tile["CHANNELS"]) + triton.cdiv(of_x, tile["CHANNELS"]),
            tile,
            warps,
            g,
            x,
            _attention(level, gate_g, gate_x, psi_weight, psi_bias),
            result,
            *level.strides(g),
            *level.strides_of_doubled(x, result),
            of_g,
            of_x,
        )
    return result


def launch_backward(
    gradient: Tensor,
    g: Tensor,
    x: Tensor,
    gate_g: Tensor,
    gate_x: Tensor,
    psi_weight: Tensor,
    psi_bias: Tensor,
    grid: Sequence[int],
) -> tuple[Tensor, ...]:
    """As :func:`dislayers.patch_local.reference.backward`, which runs for float64."""
    arguments = g, x, gate_g, gate_x, psi_weight, psi_bias
    if not _takes(gradient, *arguments):
        return reference.backward(gradient, *arguments, grid)
    level, (of_g, of_x, hidden) = _Level(x, grid), (each.shape[1] for each in (g, x, gate_g))
    d_g, d_x, d_gate_g, d_gate_x = (torch.empty_like(each) for each in arguments[:4])
    products = torch.empty((level.patches, *(2 * side for side in level.size)), device=x.device)
    with torch.cuda.device_of(x):
        tile, warps = level.tile(g, max(of_g, of_x))
        level.launch(
            through_concatenation,
            triton.cdiv(of_g, tile["CHANNELS"]) + 1,
            tile,
            warps,
            gradient,
            x,
            _attention(level, *arguments[2:]),
            d_g,
            d_x,
            products,
            *level.strides_of_doubled(gradient, x),
            *level.strides(d_g),
            *level.strides_of_doubled(d_x),
            of_g,
            of_x,
        )
        tile, warps = level.tile(gate_g, hidden)
        partial = torch.empty((level.programs(tile), hidden + 1), device=x.device)
        level.launch(
            through_gate,
            1,
            tile,
            warps,
            products,
            *arguments[2:],
            d_gate_g,
            d_gate_x,
            partial,
            *level.strides(gate_g, gate_x, d_gate_g, d_gate_x),
            psi_weight.stride(1),
            hidden,
        )
        sums = partial.sum(0)
    d_weight, d_bias = sums[:-1].to(psi_weight.dtype), sums[-1:].to(psi_bias.dtype, copy=True)
    return d_g, d_x, d_gate_g, d_gate_x, d_weight.view(psi_weight.shape), d_bias


def _variant(name: str, kernel: Any, channels: int, map_: str, last: bool, budget: float) -> AheadOfTime:
    """For patches of 64x64 and larger, in which a pixel's channels or a row's pixels are neighbours."""
    elements, warps = BLOCKS["default"][-1][1]
    tile = _tile(elements, channels, _NEIGHBOURS, _NEIGHBOURS, last)
    one = 3 if last else 5
    types: dict[str, str | tuple[str, ...]] = {}
    units: dict[Any, int] = {}  # members of a tuple by their places, constants as they are at launch
    for i, argument in enumerate(kernel.arg_names):
        if argument.endswith("_strides"):
            types[argument] = tuple("constexpr" if axis == one else "i32" for axis in range(6))
            units[i, one] = 1
    exact = ("attention_ptr", "product_ptr", "partial_ptr", "weight_ptr", "bias_ptr")
    types |= {x: f"*{map_}" for x in kernel.arg_names if x.endswith("_ptr") and x not in exact}
    layout = "channels_last" if last else "NCHW"
    variant = AheadOfTime.of(
        # An element is one before it is upsampled: all instructions for a single block of channels.
        f"patch_local {name} {map_} {layout}",
        kernel,
        tile | {"weight_stride": 1},
        types,
        warps,
        aligned=("_ptr", "_strides", "channels", "height", "width"),
        elements=elements,
        budget=budget,
    )
    return replace(variant, constants={**variant.constants, **units})


AHEAD_OF_TIME = [
    _variant(name, kernel, channels, map_, last, budgets[last])
    for name, kernel, channels, budgets in (
        ("attention", attend, 32, (130, 126)),
        ("concatenation", concatenate, 64, (225, 147)),
        ("through concatenation", through_concatenation, 64, (320, 222)),
        ("through gate", through_gate, 32, (245, 261)),
    )
    for map_ in ("fp32", "bf16")
    for last in (False, True)
]
