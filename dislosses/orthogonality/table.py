"""The table of all weights, in Triton: addresses, and what follows from the shapes."""

from __future__ import annotations

import triton
import triton.language as tl

# The columns of the table that follow from the shapes.
ROWS, COLUMNS, FIRST_TILE, FIRST_SIGN = (tl.constexpr(i) for i in range(4))


@triton.jit
def write_table(tensors, addresses_ptr, shapes_ptr, SHAPES: tl.constexpr):
    """Addresses one after the other; shapes by column."""
    for i in tl.static_range(len(tensors)):
        tl.store(addresses_ptr + i, tensors[i].to(tl.int64))
    for i in tl.static_range(len(SHAPES)):
        tl.store(shapes_ptr + i, SHAPES[i])


@triton.jit
def weight_of(tile, shapes_ptr, count, MEMBERS: tl.constexpr):
    """The weight that a tile belongs to; weights without tiles stand before the next one that has some."""
    offs = tl.arange(0, MEMBERS)
    first = tl.load(shapes_ptr + FIRST_TILE * count + offs, mask=offs < count, other=1 << 62)
    return tl.sum((first <= tile).to(tl.int32), axis=0) - 1
