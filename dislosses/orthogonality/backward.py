"""The gradient of all weights, in Triton."""

from __future__ import annotations

import triton
import triton.language as tl

from dislosses.orthogonality.table import COLUMNS, FIRST_SIGN, FIRST_TILE, ROWS, weight_of


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
def gradients_of_tiles(
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
    """A tile of ``2 S W`` times the gradient of the weight's loss."""
    index = weight_of(tl.program_id(0), shapes_ptr, count, MEMBERS)
    shape_ptr = shapes_ptr + index
    rows = tl.load(shape_ptr + ROWS * count).to(tl.int32)
    columns = tl.load(shape_ptr + COLUMNS * count).to(tl.int32)
    address, result = tl.load(addresses_ptr + index), tl.load(addresses_ptr + count + index)
    weight_ptr, result_ptr = address.to(weight_type.dtype), result.to(weight_type.dtype)
    sign_ptr += tl.multiple_of(tl.load(shape_ptr + FIRST_SIGN * count), 16)
    scale = 2 * tl.load(gradient_ptr + index * gradient_stride)

    tile = tl.program_id(0) - tl.load(shape_ptr + FIRST_TILE * count).to(tl.int32)
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
