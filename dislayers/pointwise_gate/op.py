"""The op ``dislayers::pointwise_gate`` with its gradient, and the function that people call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.launch import in_triton
from dislayers._runtime.library import register
from dislayers.pointwise_gate import reference
from dislayers.pointwise_gate.reference import Gradients

_ARGUMENTS = "Tensor s, Tensor weight, Tensor bias, Tensor x"


def _fake_forward(s: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    return torch.empty_like(x)


def _fake_backward(gradient: Tensor, s: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> Gradients:
    return torch.empty_like(s), torch.empty_like(weight), torch.empty_like(bias), torch.empty_like(x)


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, gradient: Tensor) -> Gradients:
    gradients: Gradients = _differentiate(gradient, *ctx.saved_tensors)
    return gradients


_differentiate = register(
    f"dislayers::pointwise_gate_backward(Tensor gradient, {_ARGUMENTS}) -> (Tensor, Tensor, Tensor, Tensor)",
    reference.backward,
    _fake_backward,
    kernels=[in_triton("dislayers.pointwise_gate.kernel.launch_backward")],
    counted_as=reference.backward,
)
_compute = register(
    f"dislayers::pointwise_gate({_ARGUMENTS}) -> Tensor",
    reference.forward,
    _fake_forward,
    kernels=[in_triton("dislayers.pointwise_gate.kernel.launch_forward")],
    backward=_backward,
    setup_context=_save,
    counted_as=reference.pointwise_gate,
)


def pointwise_gate(s: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """Gate x with a 1x1 convolution of s: ``(weight s + bias) * x``.

    Args:
        s: (B, C, H, W), floating.
        weight: (D, C, 1, 1), floating.
        bias: (D,), floating.
        x: (B, D, H, W), floating.

    Returns:
        (B, D, H, W), with the dtype and layout of x.

    Raises:
        TypeError: an argument is not floating.
        ValueError: shapes or devices do not fit.

    Numerics:
        The convolution is PyTorch's: weight and bias are rounded to the dtype of s, under autocast all three to
        autocast's, unless s is float64; sums are float32. On a GPU only the result is rounded, elsewhere the gate is
        too. On a GPU products of float32 have the precision that ``torch.set_float32_matmul_precision`` sets: TF32 for
        "high" and "medium"; for "highest" three TF32 products, which give float32's accuracy but turn infinity into
        NaN. Deterministic. Backward keeps the arguments and computes the gate again, one more product of matrices.

    Source:
        The end of SegNeXt's attention (Guo et al., 2022), equation 1.
    """
    _check(s, weight, bias, x)
    s, weight, bias = _rounded(s, weight, bias)
    result: Tensor = _compute(s, weight, bias, x)
    return result


def _rounded(s: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """All in the dtype that a convolution would have."""
    device = s.device.type
    # There is none for tensors without data.
    cast = device != "meta" and torch.is_autocast_enabled(device) and s.dtype != torch.float64
    dtype = torch.get_autocast_dtype(device) if cast else s.dtype
    return s.to(dtype), weight.to(dtype), bias.to(dtype)


def _check(s: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> None:
    check.feature_map("s", s)
    check.floating("weight", weight)
    if weight.ndim != 4 or len(weight) == 0:
        raise ValueError(f"weight must have the shape (D, C, 1, 1), got {tuple(weight.shape)}")
    check.parameter("weight", weight, (len(weight), s.shape[1], 1, 1), "s", s)
    check.parameter("bias", bias, (len(weight),), "s", s)
    check.parameter("x", x, (len(s), len(weight), *s.shape[2:]), "s", s)
