"""Triton kernels for all weights at once: a table of them, the upper tiles of ``W W^T``, their sums; the gradient.

Only addresses are arguments, and only of the kernel that writes the table: what the shapes decide is constant there. So
nothing is copied to the GPU, a CUDA graph can hold the launches, and the other kernels do not depend on the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from dislayers._runtime.launch import AheadOfTime
from dislayers._runtime.layout import dense_samples
from dislosses.orthogonality import reference
from dislosses.orthogonality.shapes import TILE, backward_shapes, forward_shapes

# Not tuned on a GPU yet.
_WARPS = 8
# Sums that a program of the join adds at a time.
_JOINED = 128
# Addresses of a launch: arguments may have 4 KiB.
_ADDRESSES = 480

# The columns of the table that follow from the shapes.
_ROWS, _COLUMNS, _FIRST_TILE, _FIRST_SIGN = (tl.constexpr(i) for i in range(4))


@triton.jit
def _orthogonality_table(tensors, addresses_ptr, shapes_ptr, SHAPES: tl.constexpr):
    """Addresses one after the other; shapes by column."""
    for i in tl.static_range(len(tensors)):
        tl.store(addresses_ptr + i, tensors[i].to(tl.int64))
    for i in tl.static_range(len(SHAPES)):
        tl.store(shapes_ptr + i, SHAPES[i])


@triton.jit
def _weight_of(tile, shapes_ptr, count, MEMBERS: tl.constexpr):
    """The weight that a tile belongs to; weights without tiles stand before the next one that has some."""
    offs = tl.arange(0, MEMBERS)
    first = tl.load(shapes_ptr + _FIRST_TILE * count + offs, mask=offs < count, other=1 << 62)
    return tl.sum((first <= tile).to(tl.int32), axis=0) - 1


@triton.jit
def _square(
    weight_ptr,
    row,
    column,
    rows,
    columns,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    DEPTH: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """The tile of ``W W^T`` at a row and a column."""
    height, width, depth = tl.arange(0, HEIGHT), tl.arange(0, WIDTH), tl.arange(0, DEPTH)
    left_ptr = weight_ptr + row.to(tl.int64) * columns
    right_ptr = weight_ptr + column.to(tl.int64) * columns
    product = tl.zeros((HEIGHT, WIDTH), tl.float32)
    for start in range(0, columns, DEPTH):
        inside = start + depth < columns
        left = tl.load(
            left_ptr + (height[:, None] * columns + start + depth[None, :]),
            mask=(height[:, None] < rows - row) & inside[None, :],
            other=0,
        )
        right = tl.load(
            right_ptr + (width[None, :] * columns + start + depth[:, None]),
            mask=(width[None, :] < rows - column) & inside[:, None],
            other=0,
        )
        product = tl.dot(left.to(tl.float32), right.to(tl.float32), product, input_precision=PRECISION)
    return product


@triton.jit
def _orthogonality_forward(
    weight_type,
    addresses_ptr,
    shapes_ptr,
    sign_ptr,
    partial_ptr,
    count,
    MEMBERS: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    DEPTH: tl.constexpr,
    PRECISION: tl.constexpr,
):
    program = tl.program_id(0)
    index = _weight_of(program, shapes_ptr, count, MEMBERS)
    shape_ptr = shapes_ptr + index
    rows = tl.load(shape_ptr + _ROWS * count).to(tl.int32)
    columns = tl.load(shape_ptr + _COLUMNS * count).to(tl.int32)
    address = tl.load(addresses_ptr + index)
    weight_ptr = address.to(weight_type.dtype)

    row = tl.full((), 0, tl.int32)
    right = program - tl.load(shape_ptr + _FIRST_TILE * count).to(tl.int32)
    while row + right * WIDTH >= rows:
        right -= tl.cdiv(rows - row, WIDTH)
        row += HEIGHT
    column = row + right * WIDTH

    if (columns % 16 == 0) & (address % 16 == 0):
        product = _square(
            tl.multiple_of(weight_ptr, 16),
            row,
            column,
            rows,
            tl.multiple_of(columns, 16),
            HEIGHT,
            WIDTH,
            DEPTH,
            PRECISION,
        )
    else:
        product = _square(weight_ptr, row, column, rows, columns, HEIGHT, WIDTH, DEPTH, PRECISION)

    # What lies under the diagonal is the mirror image, so that the signs are as symmetric as W W^T.
    below = row - column + (tl.arange(0, HEIGHT)[:, None] - tl.arange(0, WIDTH)[None, :])
    product -= (below == 0).to(tl.float32)
    sign = (product > 0).to(tl.int8) - (product < 0).to(tl.int8)
    sign_ptr += tl.multiple_of(tl.load(shape_ptr + _FIRST_SIGN * count), 16)
    height, width = tl.arange(0, HEIGHT), tl.arange(0, WIDTH)
    inside = (below <= 0) & (width < rows - column)[None, :]
    upper_ptr = sign_ptr + row.to(tl.int64) * rows + column
    lower_ptr = sign_ptr + column.to(tl.int64) * rows + row
    tl.store(upper_ptr + (height[:, None] * rows + width[None, :]), sign, mask=inside)
    tl.store(lower_ptr + (width[None, :] * rows + height[:, None]), sign, mask=inside)
    twice = tl.where(below < 0, 2.0, 1.0)
    total = tl.sum(tl.sum(tl.where(inside, tl.abs(product) * twice, 0), axis=1), axis=0)
    tl.store(partial_ptr + program, total)


@triton.jit
def _orthogonality_join(shapes_ptr, partial_ptr, loss_ptr, count, tiles, BLOCK: tl.constexpr):
    index = tl.program_id(0)
    start_ptr = shapes_ptr + _FIRST_TILE * count + index
    start = tl.load(start_ptr).to(tl.int32)
    stop = tl.load(start_ptr + 1, mask=index + 1 < count, other=tiles).to(tl.int32)
    total = tl.zeros((BLOCK,), tl.float32)
    for block in range(start, stop, BLOCK):
        offs = block + tl.arange(0, BLOCK)
        total += tl.load(partial_ptr + offs, mask=offs < stop, other=0)
    tl.store(loss_ptr + index, tl.sum(total, axis=0))


@triton.jit
def _signed(
    weight_ptr,
    sign_ptr,
    row,
    column,
    rows,
    columns,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    DEPTH: tl.constexpr,
    EXACT: tl.constexpr,
):
    """The tile of ``S W`` at a row and a column."""
    height, width, depth = tl.arange(0, HEIGHT), tl.arange(0, WIDTH), tl.arange(0, DEPTH)
    sign_ptr += row.to(tl.int64) * rows
    weight_ptr += column
    product = tl.zeros((HEIGHT, WIDTH), tl.float32)
    for start in range(0, rows, DEPTH):
        inside = start + depth < rows
        sign = tl.load(
            sign_ptr + (height[:, None] * rows + start + depth[None, :]),
            mask=(height[:, None] < rows - row) & inside[None, :],
            other=0,
        ).to(tl.float32)
        weight = tl.load(
            weight_ptr + (depth[:, None] * columns + width[None, :]),
            mask=inside[:, None] & (width[None, :] < columns - column),
            other=0,
        ).to(tl.float32)
        weight_ptr += DEPTH * columns
        if EXACT:
            # The signs are exact in TF32, and so is each half of a weight: two products in place of three.
            leading = (weight.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
            product = tl.dot(sign, weight - leading, product, input_precision="tf32")
            weight = leading
        product = tl.dot(sign, weight, product, input_precision="tf32")
    return product


@triton.jit
def _orthogonality_backward(
    weight_type,
    addresses_ptr,
    shapes_ptr,
    sign_ptr,
    gradient_ptr,
    gradient_stride,
    count,
    MEMBERS: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    DEPTH: tl.constexpr,
    EXACT: tl.constexpr,
):
    index = _weight_of(tl.program_id(0), shapes_ptr, count, MEMBERS)
    shape_ptr = shapes_ptr + index
    rows = tl.load(shape_ptr + _ROWS * count).to(tl.int32)
    columns = tl.load(shape_ptr + _COLUMNS * count).to(tl.int32)
    address, result = tl.load(addresses_ptr + index), tl.load(addresses_ptr + count + index)
    weight_ptr, result_ptr = address.to(weight_type.dtype), result.to(weight_type.dtype)
    sign_ptr += tl.multiple_of(tl.load(shape_ptr + _FIRST_SIGN * count), 16)
    scale = 2 * tl.load(gradient_ptr + index * gradient_stride)

    tile = tl.program_id(0) - tl.load(shape_ptr + _FIRST_TILE * count).to(tl.int32)
    tiles = tl.cdiv(rows, HEIGHT)
    row, column = tile % tiles * HEIGHT, tile // tiles * WIDTH
    height, width = tl.arange(0, HEIGHT), tl.arange(0, WIDTH)
    inside = (height[:, None] < rows - row) & (width[None, :] < columns - column)
    if (columns % 16 == 0) & (rows % 16 == 0) & (address % 16 == 0) & (result % 16 == 0):
        wide = tl.multiple_of(columns, 16)
        product = _signed(
            tl.multiple_of(weight_ptr, 16),
            sign_ptr,
            row,
            column,
            tl.multiple_of(rows, 16),
            wide,
            HEIGHT,
            WIDTH,
            DEPTH,
            EXACT,
        )
        place = tl.multiple_of(result_ptr, 16) + (row.to(tl.int64) * wide + column)
        tl.store(place + (height[:, None] * wide + width[None, :]), product * scale, mask=inside)
    else:
        product = _signed(weight_ptr, sign_ptr, row, column, rows, columns, HEIGHT, WIDTH, DEPTH, EXACT)
        place = result_ptr + (row.to(tl.int64) * columns + column)
        tl.store(place + (height[:, None] * columns + width[None, :]), product * scale, mask=inside)


def _dense(weights: Sequence[Tensor]) -> list[Tensor]:
    """The weights, or copies, as one stretch of memory each, row after row."""
    return [w if w.is_contiguous() else reference.matrix(dense_samples(w)).contiguous() for w in weights]


def _table(tensors: Sequence[Tensor], columns: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Addresses of tensors, and the columns of the shapes, on the device."""
    table = torch.empty(len(tensors) + len(columns), dtype=torch.int64, device=tensors[0].device)
    addresses, shapes = table[: len(tensors)], table[len(tensors) :]
    for start in range(0, len(tensors), _ADDRESSES):
        part = tuple(tensors[start : start + _ADDRESSES])
        _orthogonality_table[(1,)](part, addresses[start:], shapes, SHAPES=() if start else columns, num_warps=1)
    return addresses, shapes


def _exact(weights: Sequence[Tensor]) -> bool:
    """Whether TF32 is too coarse: half precision is exact in it."""
    return weights[0].dtype == torch.float32 and torch.get_float32_matmul_precision() == "highest"


def launch_orthogonality_forward(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """As :func:`dislosses.orthogonality.reference.forward`."""
    count, device = len(weights), weights[0].device
    columns, tiles, signs = forward_shapes(tuple([w.shape for w in weights]))
    losses, partial = (torch.empty(n, dtype=torch.float32, device=device) for n in (count, tiles))
    sign = torch.zeros(signs, dtype=torch.int8, device=device)
    with torch.cuda.device_of(losses):
        matrices = _dense(weights)
        addresses, shapes = _table(matrices, columns)
        if tiles:
            _orthogonality_forward[(tiles,)](
                matrices[0],
                addresses,
                shapes,
                sign,
                partial,
                count,
                PRECISION="tf32x3" if _exact(weights) else "tf32",
                MEMBERS=triton.next_power_of_2(count),
                num_warps=_WARPS,
                **TILE,
            )
        _orthogonality_join[(count,)](shapes, partial, losses, count, tiles, BLOCK=_JOINED, num_warps=1)
    return losses, sign


def launch_orthogonality_backward(gradient: Tensor, sign: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """As :func:`dislosses.orthogonality.reference.backward`."""
    columns, tiles, _ = backward_shapes(tuple([w.shape for w in weights]))
    results = [torch.empty_like(w if w.is_contiguous() else dense_samples(w)) for w in weights]
    with torch.cuda.device_of(gradient):
        matrices = _dense(weights)
        addresses, shapes = _table([*matrices, *results], columns)
        if tiles:
            _orthogonality_backward[(tiles,)](
                matrices[0],
                addresses,
                shapes,
                sign,
                gradient,
                gradient.stride(0),
                len(weights),
                EXACT=_exact(weights),
                MEMBERS=triton.next_power_of_2(len(weights)),
                num_warps=_WARPS,
                **TILE,
            )
    return results


_TYPES = {
    "addresses_ptr": "*i64",
    "shapes_ptr": "*i64",
    "sign_ptr": "*i8",
    "partial_ptr": "*fp32",
    "loss_ptr": "*fp32",
    "gradient_ptr": "*fp32",
}


def _variant(
    name: str, kernel: object, constants: dict[str, object], warps: int, **types: str | tuple[str, ...]
) -> AheadOfTime:
    arguments = [x for x in kernel.arg_names if x not in constants]  # type: ignore[attr-defined]
    signature = {x: (_TYPES | types).get(x, "i32") for x in arguments}
    aligned = [x for x in arguments if x.endswith("_ptr")]
    return AheadOfTime(f"orthogonality {name}", kernel, signature, constants, warps, aligned=aligned)


AHEAD_OF_TIME = [
    _variant("table of 119", _orthogonality_table, {"SHAPES": tuple(range(2, 478))}, 1, tensors=("*fp32",) * 119),
    _variant("join", _orthogonality_join, {"BLOCK": _JOINED}, 1),
    *(
        _variant(
            f"forward {type_[1:]} {precision}",
            _orthogonality_forward,
            {"MEMBERS": 128, "PRECISION": precision, **TILE},
            _WARPS,
            weight_type=type_,
        )
        for type_, precision in (("*fp32", "tf32x3"), ("*fp32", "tf32"), ("*bf16", "tf32"))
    ),
    *(
        _variant(
            f"backward {type_[1:]} {'exact' if exact else 'tf32'}",
            _orthogonality_backward,
            {"MEMBERS": 128, "EXACT": exact, **TILE},
            _WARPS,
            weight_type=type_,
        )
        for type_, exact in (("*fp32", True), ("*fp32", False), ("*bf16", False))
    ),
]
