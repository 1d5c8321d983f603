"""The op ``dislayers::depthwise_gelu`` with its gradient, and the function that people call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.backend import Implementation
from dislayers._runtime.launch import in_triton
from dislayers._runtime.library import left_to_compiler, register
from dislayers._runtime.native import missing_kernel
from dislayers.depthwise_gelu import native, reference
from dislayers.depthwise_gelu.reference import Gradients

_NAME = "dislayers::depthwise_gelu"
_ARGUMENTS = "Tensor x, Tensor weight, Tensor bias"


def _fake_forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.empty_like(x)


def _fake_backward(gradient: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> Gradients:
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(bias)


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, gradient: Tensor) -> Gradients:
    gradients: Gradients = _differentiate(gradient, *ctx.saved_tensors)
    return gradients


_differentiate = register(
    f"{_NAME}_backward(Tensor gradient, {_ARGUMENTS}) -> (Tensor d_x, Tensor d_weight, Tensor d_bias)",
    reference.backward,
    _fake_backward,
    kernels=[
        in_triton("dislayers.depthwise_gelu.kernel.launch_backward"),
        Implementation("native", native.backward, missing_kernel("depthwise_gelu_backward")),
    ],
    counted_as=reference.backward,
)
_compute = register(
    f"{_NAME}({_ARGUMENTS}) -> Tensor",
    reference.depthwise_gelu,
    _fake_forward,
    kernels=[
        in_triton("dislayers.depthwise_gelu.kernel.launch_forward"),
        Implementation("native", native.forward, missing_kernel("depthwise_gelu")),
    ],
    backward=_backward,
    setup_context=_save,
    counted_as=reference.depthwise_gelu,
)


def depthwise_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The exact GELU of a depthwise convolution: ``a Phi(a)``, ``a = conv(x)``, Phi the normal distribution.

    The convolution has a kernel and a bias a channel, and zeros beyond the image.

    Args:
        x: (B, C, H, W), floating.
        weight: (C, 1, k, k), floating, k odd.
        bias: (C,), floating.

    Returns:
        (B, C, H, W), with the dtype and layout of x.

    Raises:
        TypeError: an argument is not floating.
        ValueError: shapes or devices do not fit.

    Numerics:
        Computed in float32 (float64 from float64) and rounded once, on a GPU the gradient of ``a`` too; deterministic.
        NaN spreads as far as the kernel reaches. Backward keeps the arguments and convolves again: neither ``a`` nor
        its GELU is kept for it.

    Source:
        GELU (Hendrycks and Gimpel, 2016), section 2; between the 1x1 convolutions of a mix-FFN (SegFormer, Xie et al.,
        2021, equation 3; SegNeXt, Guo et al., 2022).
    """
    _check(x, weight, bias)
    if left_to_compiler(_NAME, x.device):
        return reference.depthwise_gelu(x, weight, bias)
    result: Tensor = _compute(x, weight, bias)
    return result


def _check(x: Tensor, weight: Tensor, bias: Tensor) -> None:
    check.feature_map("x", x)
    check.floating("weight", weight)
    if weight.ndim != 4 or weight.shape[-1] % 2 == 0:
        raise ValueError(f"weight must have the shape (C, 1, k, k) with k odd, got {tuple(weight.shape)}")
    check.parameter("weight", weight, (x.shape[1], 1, *weight.shape[-1:] * 2), "x", x)
    check.parameter("bias", bias, (x.shape[1],), "x", x)
