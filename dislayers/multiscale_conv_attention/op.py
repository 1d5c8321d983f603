"""The op ``dislayers::multiscale_depthwise`` with its gradient, and the function that people call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from dislayers._runtime import check
from dislayers._runtime.backend import Implementation
from dislayers._runtime.library import left_to_compiler, register
from dislayers._runtime.native import missing_kernel
from dislayers.multiscale_conv_attention import cuda, native, reference

_NAME = "dislayers::multiscale_depthwise"
_STRIPS = "Tensor[] rows, Tensor[] row_biases, Tensor[] columns, Tensor[] column_biases"
_ARGUMENTS = f"Tensor x, Tensor weight, Tensor bias, {_STRIPS}"
_GRADIENTS = "(Tensor, Tensor, Tensor, Tensor[], Tensor[], Tensor[], Tensor[])"


def _fake_forward(x: Tensor, *_: object) -> Tensor:
    return torch.empty_like(x)


def _fake_backward(gradient: Tensor, *arguments: Any) -> tuple[Any, ...]:
    gradients: tuple[Any, ...] = tree_map(torch.empty_like, arguments)
    return gradients


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, bias, *strips = inputs
    ctx.save_for_backward(x, weight, bias, *(part for parts in strips for part in parts))


def _backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    x, weight, bias, *parts = ctx.saved_tensors
    count = len(parts) // 4
    strips = [list(parts[i * count : (i + 1) * count]) for i in range(4)]
    return tuple(_differentiate(gradient, x, weight, bias, *strips))


def _native_forward(x: Tensor, *parameters: Any) -> Tensor:
    compute = cuda.forward if x.is_cuda else native.forward
    return compute(x, *parameters)


def _native_backward(gradient: Tensor, *arguments: Any) -> tuple[Any, ...]:
    differentiate = cuda.backward if gradient.is_cuda else native.backward
    return differentiate(gradient, *arguments)


_differentiate = register(
    f"{_NAME}_backward(Tensor gradient, {_ARGUMENTS}) -> {_GRADIENTS}",
    reference.backward,
    _fake_backward,
    kernels=[Implementation("native", _native_backward, missing_kernel("multiscale_depthwise_backward"))],
    counted_as=reference.backward,
)

_compute = register(
    f"{_NAME}({_ARGUMENTS}) -> Tensor",
    reference.multiscale_depthwise,
    _fake_forward,
    kernels=[Implementation("native", _native_forward, missing_kernel("multiscale_depthwise"))],
    backward=_backward,
    setup_context=_save,
    counted_as=reference.multiscale_depthwise,
)


def multiscale_depthwise(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    rows: Sequence[Tensor],
    row_biases: Sequence[Tensor],
    columns: Sequence[Tensor],
    column_biases: Sequence[Tensor],
) -> Tensor:
    """A square depthwise convolution, and strips of several lengths around it: ``a + sum_i column_i(row_i(a))``.

    ``a`` is x convolved with ``weight``; every convolution has one kernel and one bias a channel, and zeros beyond the
    image.

    Args:
        x: (B, C, H, W), floating.
        weight: (C, 1, k, k), k odd.
        bias: (C,).
        rows: (C, 1, 1, k_i) for each strip, k_i odd; there may be none.
        row_biases: (C,) for each strip.
        columns: (C, 1, k_i, 1) for each strip.
        column_biases: (C,) for each strip.

    Returns:
        (B, C, H, W), with the dtype and layout of x.

    Raises:
        TypeError: an argument is not floating, or strips are no lists or tuples.
        ValueError: shapes or devices do not fit.

    Numerics:
        Computed in float32 (float64 from float64) and rounded once, with all steps between in float32; deterministic,
        for any number of threads. NaN and infinity spread as far as the kernels reach. Backward keeps the arguments and
        computes the rest again. On a GPU there are kernels for a square of 5 with strips of 7, 11 and 21, in float32
        and half precision, which copy a channels_last x; for other sizes, and float64, plain PyTorch runs.

    Source:
        SegNeXt (Guo et al., 2022), equation 1, before its 1x1 convolution.
    """
    strips = rows, row_biases, columns, column_biases
    _check(x, weight, bias, *strips)
    if left_to_compiler(_NAME, x.device):
        return reference.multiscale_depthwise(x, weight, bias, *strips)
    result: Tensor = _compute(x, weight, bias, *map(list, strips))
    return result


def _check(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    rows: Sequence[Tensor],
    row_biases: Sequence[Tensor],
    columns: Sequence[Tensor],
    column_biases: Sequence[Tensor],
) -> None:
    check.feature_map("x", x)
    channels = x.shape[1]
    check.parameter("weight", weight, (channels, 1, *_odd_size("weight", weight)[-1:] * 2), "x", x)
    check.parameter("bias", bias, (channels,), "x", x)
    lists = {"rows": rows, "row_biases": row_biases, "columns": columns, "column_biases": column_biases}
    for name, parts in lists.items():
        if not isinstance(parts, (list, tuple)):
            raise TypeError(f"{name} must be a list or tuple of tensors, got {type(parts).__name__}")
        if len(parts) != len(rows):
            raise ValueError(f"{name} must be as many as rows: expected {len(rows)}, got {len(parts)}")
    for i, row in enumerate(rows):
        size = _odd_size(f"rows[{i}]", row)[-1]
        check.parameter(f"rows[{i}]", row, (channels, 1, 1, size), "x", x)
        check.parameter(f"row_biases[{i}]", row_biases[i], (channels,), "x", x)
        check.parameter(f"columns[{i}]", columns[i], (channels, 1, size, 1), "x", x)
        check.parameter(f"column_biases[{i}]", column_biases[i], (channels,), "x", x)


def _odd_size(name: str, kernel: Tensor) -> tuple[int, ...]:
    check.floating(name, kernel)
    if kernel.ndim != 4 or kernel.shape[-1] % 2 == 0:
        raise ValueError(f"{name} must have four dimensions and an odd size, got {tuple(kernel.shape)}")
    return tuple(kernel.shape)
