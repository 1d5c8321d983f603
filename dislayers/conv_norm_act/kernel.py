"""Launches of the Triton kernels, and what is compiled ahead of time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from dislayers._runtime.launch import ENDLESS, AheadOfTime, Blocks, blocks_for, launch_table
from dislayers._runtime.layout import strides_fit
from dislayers.conv_norm_act import reference
from dislayers.conv_norm_act.backward import gradient_of_x, join_sums, sums_of_parts
from dislayers.conv_norm_act.forward import join_moments, moments_of_parts, normalize

# Not tuned on a GPU yet: `python -m dislayers.tune` fills it.
BLOCKS = launch_table(
    "dislayers.conv_norm_act",
    "blocks",
    default=[(1 << 20, Blocks(2048, 4)), (ENDLESS, Blocks(4096, 8))],
    cpu=[(ENDLESS, Blocks(1 << 14, 4))],
)
# Windows side by side or channels of a span, at most.
_WIDEST = 64
# Programs that add up, more or less, and parts of a channel, at most: so many are joined at once, for a few channels.
_PROGRAMS, _PARTS, _JOINED = 2048, 512, 4
_JOIN = {"PARTS": _PARTS, "CHANNELS": _JOINED}


class _Tiles(NamedTuple):
    """How maps are cut: what kernels take as sizes and as constants, and programs along and across channels."""

    sizes: tuple[int, ...]
    constants: dict[str, Any]
    tiles: int
    across: int

    def parts(self) -> tuple[int, int]:
        """Parts of a channel that are added up alone, and tiles of each."""
        wanted = min(_PARTS, triton.cdiv(_PROGRAMS, self.across), self.tiles)
        steps = triton.cdiv(self.tiles, wanted)
        return triton.cdiv(self.tiles, steps), steps


def _constants(blocks: Blocks, side_by_side: int, channels_last: bool) -> dict[str, Any]:
    width = min(_WIDEST, triton.next_power_of_2(side_by_side))
    return {
        "SPANS": max(1, blocks.elements // (4 * width)),
        "WIDTH": width,
        "CHANNELS_LAST": channels_last,
        "num_warps": blocks.warps,
    }


def _tiles(x: Tensor) -> _Tiles:
    batch, channels, height, width = x.shape
    down, across = triton.cdiv(height, 2), triton.cdiv(width, 2)
    channels_last = x.stride(1) == 1 < channels
    constants = _constants(
        blocks_for(BLOCKS, x.device, x.numel()), channels if channels_last else across, channels_last
    )
    if not channels_last:
        across = triton.cdiv(across, constants["WIDTH"])
    total = batch * down * across
    programs = triton.cdiv(channels, constants["WIDTH"]) if channels_last else channels
    sizes = total, across, down, height, width, channels
    return _Tiles(sizes, constants, triton.cdiv(total, constants["SPANS"]), programs)


def _map(tensor: Tensor | None) -> tuple[Any, ...] | None:
    """A feature map as the kernels take it."""
    return None if tensor is None else (tensor, *tensor.stride())


def _takes(*maps: Tensor | None) -> bool:
    given = [tensor for tensor in maps if tensor is not None]
    return given[0].dtype != torch.float64 and strides_fit(*given)


def launch_forward(
    x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, eps: float, pool: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As :func:`dislayers.conv_norm_act.reference.batch_norm_relu`, which runs for float64."""
    if not _takes(x, residual):
        return reference.batch_norm_relu(x, weight, bias, residual, eps, pool)
    cut = _tiles(x)
    parts, steps = cut.parts()
    channels = x.shape[1]
    partial = torch.empty(3, parts, channels, device=x.device)
    mean, variance = torch.empty(channels, device=x.device), torch.empty(channels, device=x.device)
    out, pooled = torch.empty_like(x), reference.pooled_room(x) if pool else x.new_empty(0)
    with torch.cuda.device_of(x):
        moments_of_parts[(parts, cut.across)](_map(x), partial, cut.sizes, steps, **cut.constants)
        join_moments[(triton.cdiv(channels, _JOINED),)](partial, mean, variance, parts, channels, **_JOIN, num_warps=8)
        _normalize(cut, x, mean, variance, weight, bias, residual, eps, out, pooled if pool else None)
    return out, pooled, mean, variance


def launch_normalize(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None,
    eps: float,
    pool: bool,
) -> Tensor:
    """As :func:`dislayers.conv_norm_act.reference.normalize_relu`, which runs for float64."""
    if not _takes(x, residual):
        return reference.normalize_relu(x, mean, variance, weight, bias, residual, eps, pool)
    result = reference.pooled_room(x) if pool else torch.empty_like(x)
    if x.numel():
        maps = (None, result) if pool else (result, None)
        with torch.cuda.device_of(x):
            _normalize(_tiles(x), x, mean, variance, weight, bias, residual, eps, *maps)
    return result


def _normalize(
    cut: _Tiles,
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None,
    eps: float,
    out: Tensor | None,
    pooled: Tensor | None,
) -> None:
    vectors = (vector.contiguous() for vector in (mean, variance, weight, bias))
    normalize[(cut.tiles, cut.across)](
        _map(x), _map(residual), _map(out), _map(pooled), *vectors, eps, cut.sizes, **cut.constants
    )


def launch_backward(
    d_out: Tensor | None,
    d_pooled: Tensor | None,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    residual: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As :func:`dislayers.conv_norm_act.reference.backward`, which runs for float64."""
    if not _takes(x, residual, d_out, d_pooled):
        return reference.backward(d_out, d_pooled, x, weight, bias, mean, variance, residual, eps)
    cut = _tiles(x)
    parts, steps = cut.parts()
    channels = x.shape[1]
    partial, share = torch.empty(2, parts, channels, device=x.device), torch.empty(2, channels, device=x.device)
    d_x, d_weight, d_bias = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(bias)
    both = residual is not None and d_pooled is not None
    d_residual = torch.empty_like(residual) if residual is not None and both else None
    vectors = [vector.contiguous() for vector in (mean, variance, weight, bias)]
    with torch.cuda.device_of(x):
        sums_of_parts[(parts, cut.across)](
            *map(_map, (x, d_out, d_pooled, residual, d_residual)),
            *vectors,
            partial,
            eps,
            cut.sizes,
            steps,
            **cut.constants,
        )
        join_sums[(triton.cdiv(channels, _JOINED),)](
            partial,
            *vectors[1:3],
            d_weight,
            d_bias,
            share,
            eps,
            float(x.numel() // channels),
            parts,
            channels,
            **_JOIN,
            num_warps=8,
        )
        # What the residual got is all that came in: nothing has to be found a third time.
        maps = (d_residual, None, None) if both else (d_out, d_pooled, residual)
        gradient_of_x[(cut.tiles, cut.across)](
            *map(_map, (x, *maps, d_x)), *vectors, share, eps, cut.sizes, **cut.constants
        )
    return d_x, d_weight, d_bias, x.new_empty(0) if d_residual is None else d_residual


def _variant(kernel: Any, dtype: str, channels_last: bool, maps: str, budget: float) -> AheadOfTime:
    """A kernel for the maps that are named, of which channels or columns lie side by side, and without the others."""
    constants: dict[Any, Any] = _constants(BLOCKS["default"][-1][1], 64, channels_last)
    signature: dict[str, str | tuple[str, ...]] = {"eps": "fp32", "steps": "i32", "sizes": ("i32",) * 6}
    warps, elements = constants.pop("num_warps"), 4 * constants["SPANS"] * constants["WIDTH"]
    inner = 2 if channels_last else 4
    for index, name in enumerate(kernel.arg_names):
        if name in maps.split():
            signature[name] = (f"*{dtype}", *("constexpr" if i == inner else "i32" for i in range(1, 5)))
            constants[index, inner] = 1
        elif name.endswith("_ptr"):
            signature[name] = "*fp32"
        elif name not in constants and name not in signature:
            constants[name] = None
    taken = {name: signature[name] for name in kernel.arg_names if name in signature}
    layout = "channels_last" if channels_last else "contiguous"
    name = f"batch_norm_relu {kernel.__name__}({maps}) {dtype} {layout}"
    aligned = [name for name in taken if name not in ("eps", "steps")]
    return AheadOfTime(name, kernel, taken, constants, warps, elements, budget, aligned)


def _variants(dtype: str, channels_last: bool) -> Iterator[AheadOfTime]:
    kernels: tuple[tuple[Any, str, float], ...] = (
        (moments_of_parts, "x", 53),
        (normalize, "x out", 25),
        (normalize, "x out pooled", 26),
        (normalize, "x residual out", 27),
        (normalize, "x residual out pooled", 31),
        (normalize, "x pooled", 24),
        (sums_of_parts, "x d_out", 40),
        (sums_of_parts, "x d_out d_pooled", 51),
        (sums_of_parts, "x d_out d_pooled residual d_residual", 69),
        (gradient_of_x, "x d_out d_x", 30),
        (gradient_of_x, "x d_out d_pooled d_x", 54),
    )
    for kernel, maps, budget in kernels:
        yield _variant(kernel, dtype, channels_last, maps, budget)


AHEAD_OF_TIME = [
    *(variant for dtype in ("fp32", "bf16") for last in (False, True) for variant in _variants(dtype, last)),
    *(
        AheadOfTime.of(f"batch_norm_relu {kernel.__name__}", kernel, _JOIN, {"eps": "fp32", "number": "fp32"}, 8)
        for kernel in (join_moments, join_sums)
    ),
]
