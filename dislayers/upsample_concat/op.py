"""The op ``dislayers::upsample_concat`` with its gradient, and the function that people call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.backend import Implementation
from dislayers._runtime.launch import in_triton
from dislayers._runtime.library import left_to_compiler, register
from dislayers._runtime.native import missing_kernel
from dislayers._runtime.rebuild import is_rebuildable, rebuildable, recipe_of
from dislayers.upsample_concat import native, reference

_NAME = "dislayers::upsample_concat"


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.size = inputs[0].shape


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
    return _differentiate(gradient, ctx.size), gradient[:, ctx.size[1] :]


def _save_for_second(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    gradient, size = inputs
    ctx.rest = gradient.shape[0], gradient.shape[1] - size[1], *gradient.shape[-2:]


def _second(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
    """The op is linear: its gradient's gradient is the op itself, beside zeros."""
    return _compute(gradient, gradient.new_zeros(()).expand(ctx.rest)), None


_differentiate = register(
    f"{_NAME}_backward(Tensor gradient, SymInt[] size) -> Tensor",
    reference.backward,
    reference.room_for_gradient,
    kernels=[
        in_triton("dislayers.upsample_concat.kernel.launch_backward"),
        Implementation("native", native.backward, missing_kernel("upsample_concat_backward")),
    ],
    backward=_second,
    setup_context=_save_for_second,
)

_compute = register(
    f"{_NAME}(Tensor x, Tensor skip) -> Tensor",
    reference.upsample_concat,
    reference.room,
    kernels=[
        in_triton("dislayers.upsample_concat.kernel.launch_forward"),
        Implementation("native", native.forward, missing_kernel("upsample_concat")),
    ],
    backward=_backward,
    setup_context=_save,
)


def upsample_concat(x: Tensor, skip: Tensor) -> Tensor:
    """Resize x to the size of skip, as :func:`dislayers.upsample` does, and put it before skip along the channels.

    ``cat(upsample(x, skip.shape[-2:]), skip)``, but the resized x is written where it belongs and nowhere else.

    Args:
        x: (B, C, h, w), floating; smaller than skip or larger.
        skip: (B, D, H, W), floating.

    Returns:
        (B, C + D, H, W), in the layout of skip (channels_last or contiguous), of the dtype that x and skip promote to.

    Raises:
        TypeError: x or skip is not floating.
        ValueError: x or skip has not four dimensions, or one but the batch is 0; their batches or devices differ.

    Numerics:
        Computed in float32 (float64 from float64) and rounded once; skip is copied bit by bit, and so is x if it
        already has that size. Interpolation weights are PyTorch's. The gradient of each pixel of x is the sum over the
        pixels of the result that it contributes to, in a fixed order: deterministic, for any number of threads. NaN and
        infinity spread to the pixels that they contribute to. Backward keeps sizes and no tensor; the gradient of skip
        is a view of the incoming one.

    Source:
        U²-Net (Qin et al., 2020), every step of its decoders.
    """
    _check(x, skip)
    dtype = torch.promote_types(x.dtype, skip.dtype)
    x, skip = x.to(dtype), skip.to(dtype)
    result: Tensor
    if x.shape[-2:] == skip.shape[-2:] or left_to_compiler(_NAME, x.device):
        result = reference.upsample_concat(x, skip)
    else:
        result = _compute(x, skip)
    if result.requires_grad and is_rebuildable(x) and is_rebuildable(skip):
        of_x, of_skip = recipe_of(x), recipe_of(skip)
        rebuildable(result, lambda: upsample_concat(of_x(), of_skip()))
    return result


def _check(x: Tensor, skip: Tensor) -> None:
    for name, value in (("x", x), ("skip", skip)):
        check.feature_map(name, value)
        if 0 in value.shape[2:]:
            raise ValueError(f"{name} must have the shape (B, C, H, W) with pixels, got {tuple(value.shape)}")
    check.beside("skip", skip, "x", x)
    if len(x) != len(skip):
        raise ValueError(f"skip must have the batch of x, {len(x)}, got {len(skip)}")
