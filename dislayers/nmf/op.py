"""The op ``dislayers::nmf`` with its gradient, and the function that people call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.launch import in_triton
from dislayers._runtime.library import register
from dislayers.nmf import reference


def _fake_forward(x: Tensor, bases: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), *reference.kept_by_step(x, bases, steps)


def _fake_backward(gradient: Tensor, x: Tensor, kept: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), reference.split(kept)[0][:, 0].mT.contiguous()


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, bases, _ = inputs
    _, kept, sums = output
    ctx.mark_non_differentiable(kept, sums)
    ctx.set_materialize_grads(False)
    ctx.dtype = bases.dtype
    ctx.save_for_backward(x, kept, sums)


def _backward(ctx: Any, gradient: Tensor | None, *_: None) -> tuple[Tensor | None, Tensor | None, None]:
    if gradient is None:
        return None, None, None
    d_x, d_bases = _nmf_backward(gradient, *ctx.saved_tensors)
    return d_x, d_bases.to(ctx.dtype), None


_nmf_backward = register(
    "dislayers::nmf_backward(Tensor gradient, Tensor x, Tensor kept, Tensor sums) -> (Tensor, Tensor)",
    reference.backward,
    _fake_backward,
    kernels=[in_triton("dislayers.nmf.kernel.launch_backward")],
    counted_as=reference.backward,
)
_nmf = register(
    "dislayers::nmf(Tensor x, Tensor bases, int steps) -> (Tensor, Tensor, Tensor)",
    reference.forward,
    _fake_forward,
    kernels=[in_triton("dislayers.nmf.kernel.launch_forward")],
    backward=_backward,
    setup_context=_save,
    counted_as=reference.nmf,
)


def nmf(x: Tensor, bases: Tensor, steps: int = 6) -> Tensor:
    """Approximate x by a product of nonnegative factors of low rank: ``bases coefficients^T``.

    With ``c = softmax(x^T b)`` over the rank, each step updates first the coefficients, then the bases,
    ``c *= x^T b / (c b^T b + 1e-6)`` and ``b *= x c / (b c^T c + 1e-6)``; at the end the coefficients once more.

    Args:
        x: (B, D, N), floating, not negative: N pixels of D channels.
        bases: (B, D, R), floating, positive: what to start from, usually of norm 1 over D. R is the rank.
        steps: how often both factors are updated.

    Returns:
        (B, D, N), with the dtype and layout of x.

    Raises:
        TypeError: x or bases is not floating, or steps is no int.
        ValueError: shapes do not fit each other, devices differ, or steps is negative.

    Numerics:
        Computed in float32 at least, whatever autocast says; deterministic; no host synchronisation. On a GPU products
        of float32 have the precision that ``torch.set_float32_matmul_precision`` sets: TF32 for "high" and "medium",
        for "highest" three TF32 products, which give float32's accuracy; products of half precision are TF32, in which
        x is exact. For ranks other than 16, 32 and 64 and for float64, plain PyTorch runs there. The gradient flows
        through all updates, to x and to the bases. Backward keeps x and, of each step, the bases and the sums that
        update them: ``(2 steps + 1) (D + R) R`` numbers a sample, and nothing for each pixel, since coefficients are
        computed again. Pixels of zeros give zeros. For negative x the result is undefined: a denominator may be 0.

    Source:
        Is Attention Better Than Matrix Decomposition? (Geng et al., 2021), as in the public code of SegNeXt (Guo et
        al., 2022), "NMF2D", with its inverse temperature of 1; updates after Lee and Seung (2001).
    """
    check.floating("x", x)
    check.floating("bases", bases)
    check.count("steps", steps)
    if x.ndim != 3:
        raise ValueError(f"x must have the shape (B, D, N), got {tuple(x.shape)}")
    if bases.ndim != 3 or bases.shape[:2] != x.shape[:2]:
        raise ValueError(
            f"bases must have the shape (B, D, R) for x (B, D, N), got {tuple(bases.shape)} for {tuple(x.shape)}"
        )
    check.beside("bases", bases, "x", x)
    result: Tensor = _nmf(x, bases, steps)[0]
    return result
