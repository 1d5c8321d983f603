"""Maps cut into a grid of patches, and put together again."""

from __future__ import annotations

from collections.abc import Sequence

from einops import rearrange
from torch import Tensor

from dislayers._runtime import check


def split_patches(x: Tensor, grid: Sequence[int]) -> Tensor:
    """Cut maps into a grid of patches, which become samples of their own.

    Args:
        x: (B, C, H, W).
        grid: rows and columns of patches; they divide H and W.

    Returns:
        (B * rows * columns, C, H / rows, W / columns): the patches of a map row by row, one map after another. A view
        where there is one, else a copy.

    Raises:
        TypeError: grid is no pair of ints.
        ValueError: x has another number of dimensions, or the grid does not divide it.
    """
    check_grid(grid)
    check_divided("x", x, grid)
    return by_patch(x, grid).flatten(0, 2)


def merge_patches(x: Tensor, grid: Sequence[int]) -> Tensor:
    """Put patches together: the inverse of :func:`split_patches`.

    Args:
        x: (B * rows * columns, C, h, w).
        grid: rows and columns of patches.

    Returns:
        (B, C, rows * h, columns * w). A view where there is one, else a copy.

    Raises:
        TypeError: grid is no pair of ints.
        ValueError: x has another number of dimensions, or its samples fill no whole grids.
    """
    check_grid(grid)
    rows, columns = grid
    if x.ndim != 4 or x.shape[0] % (rows * columns):
        raise ValueError(f"x must have the shape (B * {rows} * {columns}, C, h, w), got {tuple(x.shape)}")
    merged: Tensor = rearrange(x, "(b n m) c p q -> b c (n p) (m q)", n=rows, m=columns)
    return merged


def by_patch(x: Tensor, grid: Sequence[int]) -> Tensor:
    """Maps (B, C, rows h, columns w) as (B, rows, columns, C, h, w), a view."""
    rows, columns = grid
    view: Tensor = rearrange(x, "b c (n p) (m q) -> b n m c p q", n=rows, m=columns)
    return view


def by_patch_of(x: Tensor, grid: Sequence[int], size: Sequence[int]) -> Tensor:
    """The same view of maps that may be patches of a size already, (B rows columns, C, h, w)."""
    if tuple(x.shape[2:]) == tuple(size):
        return x.view(x.shape[0] // (grid[0] * grid[1]), *grid, *x.shape[1:])
    return by_patch(x, grid)


def check_grid(grid: Sequence[int]) -> None:
    """A pair of ints of at least 1."""
    if not isinstance(grid, (list, tuple)) or len(grid) != 2:
        raise TypeError(f"grid must be a pair, rows and columns of patches, got {grid!r}")
    for count in grid:
        check.count("grid", count)
    if 0 in grid:
        raise ValueError(f"grid must have at least one row and one column, got {tuple(grid)}")


def check_divided(name: str, x: Tensor, grid: Sequence[int], each: int = 1) -> None:
    """Maps that a grid cuts into patches, whose sides are multiples of ``each``."""
    if x.ndim != 4 or any(side % (each * count) or side == 0 for side, count in zip(x.shape[2:], grid, strict=True)):
        multiples = " and ".join(str(each * count) for count in grid)
        raise ValueError(
            f"{name} must have the shape (B, C, H, W), H and W multiples of {multiples}, got {tuple(x.shape)}"
        )
