"""The upper tiles of ``W W^T`` of all weights and their sums, in Triton."""

from __future__ import annotations

import triton
import triton.language as tl

from dislosses.orthogonality.table import COLUMNS, FIRST_SIGN, FIRST_TILE, ROWS, weight_of


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
def distances_of_tiles(
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
    """The sum of a tile of ``|W W^T - I|``, and its signs on both sides of the diagonal."""
    program = tl.program_id(0)
    index = weight_of(program, shapes_ptr, count, MEMBERS)
    shape_ptr = shapes_ptr + index
    rows = tl.load(shape_ptr + ROWS * count).to(tl.int32)
    columns = tl.load(shape_ptr + COLUMNS * count).to(tl.int32)
    address = tl.load(addresses_ptr + index)
    weight_ptr = address.to(weight_type.dtype)

    row = tl.full((), 0, tl.int32)
    right = program - tl.load(shape_ptr + FIRST_TILE * count).to(tl.int32)
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
    sign_ptr += tl.multiple_of(tl.load(shape_ptr + FIRST_SIGN * count), 16)
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
def join(shapes_ptr, partial_ptr, loss_ptr, count, tiles, BLOCK: tl.constexpr):
    """The sum of the tiles of a weight."""
    index = tl.program_id(0)
    start_ptr = shapes_ptr + FIRST_TILE * count + index
    start = tl.load(start_ptr).to(tl.int32)
    stop = tl.load(start_ptr + 1, mask=index + 1 < count, other=tiles).to(tl.int32)
    total = tl.zeros((BLOCK,), tl.float32)
    for block in range(start, stop, BLOCK):
        offs = block + tl.arange(0, BLOCK)
        total += tl.load(partial_ptr + offs, mask=offs < stop, other=0)
    tl.store(loss_ptr + index, tl.sum(total, axis=0))
