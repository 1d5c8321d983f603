"""The op ``dislayers::patch_local`` with its gradient, and the function that people call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.launch import in_triton
from dislayers._runtime.library import register
from dislayers.patch_local import reference
from dislayers.patch_local.patches import check_divided, check_grid

_NAME = "dislayers::patch_local"
_ARGUMENTS = "Tensor g, Tensor x, Tensor gate_g, Tensor gate_x, Tensor psi_weight, Tensor psi_bias, SymInt[] grid"


def _fake_forward(g: Tensor, x: Tensor, *rest: Any) -> Tensor:
    return reference.room(g, x, rest[-1])


def _fake_backward(gradient: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    return tuple(map(torch.empty_like, arguments[:-1]))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.grid = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    return *_differentiate(gradient, *ctx.saved_tensors, ctx.grid), None


_differentiate = register(
    f"{_NAME}_backward(Tensor gradient, {_ARGUMENTS}) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    reference.backward,
    _fake_backward,
    kernels=[in_triton("dislayers.patch_local.kernel.launch_backward")],
)
_compute = register(
    f"{_NAME}({_ARGUMENTS}) -> Tensor",
    reference.patch_local,
    _fake_forward,
    kernels=[in_triton("dislayers.patch_local.kernel.launch_forward")],
    backward=_backward,
    setup_context=_save,
)


def patch_local(
    g: Tensor,
    x: Tensor,
    gate_g: Tensor,
    gate_x: Tensor,
    psi_weight: Tensor,
    psi_bias: Tensor,
    grid: Sequence[int] = (1, 1),
) -> Tensor:
    """Gate the skip of a decoder level and put it beside the upsampled decoder map, every patch of a grid alone.

    With ``a = sigmoid(psi_weight relu(gate_g + gate_x) + psi_bias)``, and ``up`` the bilinear upsampling by 2 that sees
    one patch only, the result is ``cat(up(g), x * up(a))``, a sample for each patch.

    Args:
        g: decoder map, (B, C, h, w), or already in patches as the level before gave it,
            (B * rows * columns, C, h / rows, w / columns), row by row; floating.
        x: skip, (B, D, 2 h, 2 w), of any floating dtype, as all others.
        gate_g: ``W_g g``, with K channels, its patches as those of g.
        gate_x: ``W_x x``, (B, K, h, w).
        psi_weight: (1, K, 1, 1).
        psi_bias: (1,).
        grid: rows and columns of patches; they divide h and w. With the default a patch is a sample; samples may as
            well be patches that were cut before.

    Returns:
        (B * rows * columns, C + D, 2 h / rows, 2 w / columns), dense, channels_last if g is; of the dtype that
        ``torch.cat`` gives. :func:`dislayers.merge_patches` makes maps of it, at the end once.

    Raises:
        TypeError: an argument is not floating, or grid is no pair of ints.
        ValueError: shapes or devices do not fit, or the grid does not divide the maps.

    Numerics:
        Computed in float32 (float64 from float64) and rounded once; deterministic. Infinite scores are attentions of 0
        and 1; NaN reaches what is upsampled from it. Backward keeps the arguments and computes the attention anew.

    Source:
        ThreshNet, section 3.4: the gate is that of Attention U-Net (Oktay et al., 2018), equations 1 and 2,
        without its batch norms.
    """
    _check(g, x, gate_g, gate_x, psi_weight, psi_bias, grid)
    result: Tensor = _compute(g, x, gate_g, gate_x, psi_weight, psi_bias, list(grid))
    return result


def _check(
    g: Tensor,
    x: Tensor,
    gate_g: Tensor,
    gate_x: Tensor,
    psi_weight: Tensor,
    psi_bias: Tensor,
    grid: Sequence[int],
) -> None:
    tensors = {"g": g, "x": x, "gate_g": gate_g, "gate_x": gate_x, "psi_weight": psi_weight, "psi_bias": psi_bias}
    for name, tensor in tensors.items():
        check.floating(name, tensor)
        check.beside(name, tensor, "x", x)
    check_grid(grid)
    check_divided("x", x, grid, 2)
    (batch, _, height, width), (rows, columns) = x.shape, grid
    merged = batch, height // 2, width // 2
    patches = batch * rows * columns, height // (2 * rows), width // (2 * columns)
    if g.ndim != 4 or (g.shape[0], *g.shape[2:]) not in (merged, patches):
        raise ValueError(
            f"g must have half the size of x, as a whole or in patches: {merged} or {patches} for batch, height and "
            f"width, got {tuple(g.shape)}"
        )
    hidden = psi_weight.numel()
    check.shaped("psi_weight", psi_weight, (1, hidden, 1, 1))
    check.shaped("psi_bias", psi_bias, (1,))
    check.shaped("gate_g", gate_g, (g.shape[0], hidden, *g.shape[2:]))
    check.shaped("gate_x", gate_x, (batch, hidden, *merged[1:]))
