"""What launches the Triton kernels of all weights at once.

Only addresses are arguments, and only of the kernel that writes the table: what the shapes decide is constant there. So
nothing is copied to the GPU, a CUDA graph can hold the launches, and the other kernels do not depend on the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
from torch import Tensor

from dislayers._runtime.launch import AheadOfTime, blocks_for
from dislayers._runtime.layout import dense_samples
from dislosses.orthogonality import reference
from dislosses.orthogonality.backward import gradients_of_tiles
from dislosses.orthogonality.forward import distances_of_tiles, join
from dislosses.orthogonality.shapes import TILES, Tile, backward_shapes, forward_shapes
from dislosses.orthogonality.table import write_table

# Sums that a program of the join adds at a time.
_JOINED = 128
# Addresses of a launch: arguments may have 4 KiB.
_ADDRESSES = 480


def _dense(weights: Sequence[Tensor]) -> list[Tensor]:
    """The weights, or copies, as one stretch of memory each, row after row."""
    return [w if w.is_contiguous() else reference.matrix(dense_samples(w)).contiguous() for w in weights]


def _table(tensors: Sequence[Tensor], columns: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Addresses of tensors, and the columns of the shapes, on the device."""
    table = torch.empty(len(tensors) + len(columns), dtype=torch.int64, device=tensors[0].device)
    addresses, shapes = table[: len(tensors)], table[len(tensors) :]
    for start in range(0, len(tensors), _ADDRESSES):
        part = tuple(tensors[start : start + _ADDRESSES])
        write_table[(1,)](part, addresses[start:], shapes, SHAPES=() if start else columns, num_warps=1)
    return addresses, shapes


def _exact(weights: Sequence[Tensor]) -> bool:
    """Whether TF32 is too coarse: half precision is exact in it."""
    return weights[0].dtype == torch.float32 and torch.get_float32_matmul_precision() == "highest"


def _tile(weights: Sequence[Tensor]) -> Tile:
    return blocks_for(TILES, weights[0].device, sum(map(torch.numel, weights)))


def _constants(tile: Tile) -> dict[str, int]:
    return {"HEIGHT": tile.height, "WIDTH": tile.width, "DEPTH": tile.depth}


def launch_forward(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """As :func:`dislosses.orthogonality.reference.forward`."""
    if weights[0].dtype == torch.float64:
        return reference.forward(weights)
    count, device = len(weights), weights[0].device
    tile = _tile(weights)
    columns, tiles, signs = forward_shapes(tuple([w.shape for w in weights]), tile)
    losses, partial = (torch.empty(n, dtype=torch.float32, device=device) for n in (count, tiles))
    sign = torch.zeros(signs, dtype=torch.int8, device=device)
    with torch.cuda.device_of(losses):
        matrices = _dense(weights)
        addresses, shapes = _table(matrices, columns)
        if tiles:
            distances_of_tiles[(tiles,)](
                matrices[0],
                addresses,
                shapes,
                sign,
                partial,
                count,
                PRECISION="tf32x3" if _exact(weights) else "tf32",
                MEMBERS=triton.next_power_of_2(count),
                num_warps=tile.warps,
                **_constants(tile),
            )
        join[(count,)](shapes, partial, losses, count, tiles, BLOCK=_JOINED, num_warps=1)
    return losses, sign


def launch_backward(gradient: Tensor, sign: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """As :func:`dislosses.orthogonality.reference.backward`."""
    if weights[0].dtype == torch.float64:
        return reference.backward(gradient, sign, weights)
    tile = _tile(weights)
    columns, tiles, _ = backward_shapes(tuple([w.shape for w in weights]), tile)
    results = [torch.empty_like(w if w.is_contiguous() else dense_samples(w)) for w in weights]
    with torch.cuda.device_of(gradient):
        matrices = _dense(weights)
        addresses, shapes = _table([*matrices, *results], columns)
        if tiles:
            gradients_of_tiles[(tiles,)](
                matrices[0],
                addresses,
                shapes,
                sign,
                gradient,
                gradient.stride(0),
                len(weights),
                EXACT=_exact(weights),
                MEMBERS=triton.next_power_of_2(len(weights)),
                num_warps=tile.warps,
                **_constants(tile),
            )
    return results


_TYPES = {"addresses_ptr": "*i64", "shapes_ptr": "*i64", "sign_ptr": "*i8"}
_TILE = TILES["default"][-1][1]
_MANY = {"MEMBERS": 128, **_constants(_TILE)}


def _forward(weight: str, precision: str) -> AheadOfTime:
    name, types = f"orthogonality forward {weight} {precision}", _TYPES | {"weight_type": f"*{weight}"}
    return AheadOfTime.of(name, distances_of_tiles, _MANY | {"PRECISION": precision}, types, _TILE.warps)


def _backward(weight: str, exact: bool) -> AheadOfTime:
    name = f"orthogonality backward {weight} {'exact' if exact else 'tf32'}"
    types = _TYPES | {"weight_type": f"*{weight}"}
    return AheadOfTime.of(name, gradients_of_tiles, _MANY | {"EXACT": exact}, types, _TILE.warps)


AHEAD_OF_TIME = [
    AheadOfTime.of(
        "orthogonality table of 119",
        write_table,
        {"SHAPES": tuple(range(2, 478))},
        _TYPES | {"tensors": ("*fp32",) * 119},
        1,
    ),
    AheadOfTime.of("orthogonality join", join, {"BLOCK": _JOINED}, _TYPES, 1),
    _forward("fp32", "tf32x3"),
    _forward("fp32", "tf32"),
    _forward("bf16", "tf32"),
    _backward("fp32", exact=True),
    _backward("fp32", exact=False),
    _backward("bf16", exact=False),
]
