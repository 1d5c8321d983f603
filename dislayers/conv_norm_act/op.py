"""The op ``dislayers::batch_norm_relu`` with its gradient, its second pass alone, and what people call."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.backend import Implementation
from dislayers._runtime.launch import in_triton
from dislayers._runtime.library import left_to_compiler, register
from dislayers._runtime.native import missing_kernel
from dislayers.conv_norm_act import native, reference

_NAME = "dislayers::batch_norm_relu"


class BatchNormReLU(NamedTuple):
    """What :func:`batch_norm_relu` gives.

    Attributes:
        out: (B, C, H, W), with the dtype and layout of x.
        pooled: (B, C, H / 2, W / 2), rounded up, the maximum of each 2x2 window of out; None without pooling.
        mean: (C,) of x over samples and pixels, in float32, or float64 for float64. It has no gradient.
        variance: (C,), biased, likewise.
    """

    out: Tensor
    pooled: Tensor | None
    mean: Tensor
    variance: Tensor


def _fake_forward(
    x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, eps: float, pool: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    pooled = reference.pooled_room(x) if pool else x.new_empty(0)
    mean = x.new_empty(x.shape[1], dtype=torch.promote_types(x.dtype, torch.float32))
    return torch.empty_like(x), pooled, mean, torch.empty_like(mean)


def _fake_normalize(x: Tensor, *arguments: Any) -> Tensor:
    return reference.pooled_room(x) if arguments[-1] else torch.empty_like(x)


def _fake_backward(
    d_out: Tensor | None, d_pooled: Tensor | None, x: Tensor, weight: Tensor, bias: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    residual = rest[2]
    d_residual = x.new_empty(0) if residual is None or d_pooled is None else torch.empty_like(residual)
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(bias), d_residual


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, bias, residual, ctx.eps, pool = inputs
    _, pooled, mean, variance = output
    ctx.mark_non_differentiable(mean, variance, *[] if pool else [pooled])
    ctx.set_materialize_grads(False)
    ctx.residual = residual is not None
    # Only to find the maxima of windows again does backward need the residual.
    ctx.save_for_backward(x, weight, bias, mean, variance, residual if pool else None)


def _backward(ctx: Any, d_out: Tensor | None, d_pooled: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    if d_out is None and d_pooled is None:
        return (None,) * 6
    d_x, d_weight, d_bias, d_residual = _differentiate(d_out, d_pooled, *ctx.saved_tensors, ctx.eps)
    of_residual = d_out if d_pooled is None else d_residual
    return d_x, d_weight, d_bias, of_residual if ctx.residual else None, None, None


_differentiate = register(
    f"{_NAME}_backward(Tensor? d_out, Tensor? d_pooled, Tensor x, Tensor weight, Tensor bias, Tensor mean, "
    "Tensor variance, Tensor? residual, float eps) "
    "-> (Tensor d_x, Tensor d_weight, Tensor d_bias, Tensor d_residual)",
    reference.backward,
    _fake_backward,
    kernels=[
        in_triton("dislayers.conv_norm_act.kernel.launch_backward"),
        Implementation("native", native.backward, missing_kernel("batch_norm_relu_backward")),
    ],
)
_compute = register(
    f"{_NAME}(Tensor x, Tensor weight, Tensor bias, Tensor? residual, float eps, bool pool) "
    "-> (Tensor out, Tensor pooled, Tensor mean, Tensor variance)",
    reference.batch_norm_relu,
    _fake_forward,
    kernels=[
        in_triton("dislayers.conv_norm_act.kernel.launch_forward"),
        Implementation("native", native.batch_norm_relu, missing_kernel("batch_norm_relu")),
    ],
    backward=_backward,
    setup_context=_save,
)
_normalize = register(
    "dislayers::normalize_relu(Tensor x, Tensor mean, Tensor variance, Tensor weight, Tensor bias, Tensor? residual, "
    "float eps, bool pool) -> Tensor",
    reference.normalize_relu,
    _fake_normalize,
    kernels=[
        in_triton("dislayers.conv_norm_act.kernel.launch_normalize"),
        Implementation("native", native.normalize_relu, missing_kernel("normalize_relu")),
    ],
)


def batch_norm_relu(
    x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None = None, eps: float = 1e-5, pool: bool = False
) -> BatchNormReLU:
    """Batch normalisation in training, ReLU, a residual and 2x2 max-pooling, in two passes over x.

    ``out = relu((x - mean) / sqrt(variance + eps) weight + bias) + residual``, with the mean and the variance of each
    channel over samples and pixels; pooling has stride 2 and keeps windows that the edge cuts (``ceil_mode``).

    Args:
        x: (B, C, H, W), floating, of more than one value a channel: what a convolution gave.
        weight: (C,), floating.
        bias: (C,), floating.
        residual: (B, C, H, W), floating, added after the ReLU; nothing by default.
        eps: added to the variance.
        pool: whether to give the pooled map too.

    Returns:
        The map, the pooled map, the mean and the variance.

    Raises:
        TypeError: a tensor is not floating, or eps is no number.
        ValueError: shapes or devices do not fit, a channel has fewer than two values, or eps is negative.

    Numerics:
        Computed in float32 (float64 from float64) and rounded once; the statistics of parts of a channel are joined by
        Chan's formula, so a mean far from 0 costs no digits; deterministic. Backward keeps x and the four vectors of
        channels, and with pooling the residual; no map, mask or places of maxima. It computes again what the ReLU and
        the pooling chose, with the same roundings. The ReLU's derivative at 0 is 0; a window's gradient goes to its
        first maximum. A NaN makes its whole channel NaN.

    Source:
        Batch Normalization (Ioffe and Szegedy, 2015), algorithm 1; kept for backward as in In-Place Activated BatchNorm
        (Rota Bulò et al., 2018), but from the input. Chan, Golub and LeVeque (1979) for the variance.
    """
    _check(x, weight, bias, residual, eps)
    if x.shape[0] * x.shape[2] * x.shape[3] < 2:
        raise ValueError(f"x must have more than one value for each channel, got the shape {tuple(x.shape)}")
    compute = reference.batch_norm_relu if left_to_compiler(_NAME, x.device) else _compute
    out, pooled, mean, variance = compute(x, weight, bias, residual, eps, pool)
    return BatchNormReLU(out, pooled if pool else None, mean, variance)


def normalize_relu(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None = None,
    eps: float = 1e-5,
    pool: bool = False,
) -> Tensor:
    """The second pass of :func:`batch_norm_relu` alone, to make its map anew instead of keeping it.

    Args:
        x: (B, C, H, W), floating.
        mean: (C,), as :func:`batch_norm_relu` gave it.
        variance: (C,), likewise.
        weight: (C,), floating.
        bias: (C,), floating.
        residual: (B, C, H, W), floating, added after the ReLU; nothing by default.
        eps: added to the variance.
        pool: whether to give the pooled map in place of the map.

    Returns:
        The map (B, C, H, W) with the dtype and layout of x, or the pooled map. It has no gradient: differentiating
        raises.

    Raises:
        TypeError: a tensor is not floating, or eps is no number.
        ValueError: shapes or devices do not fit, or eps is negative.

    Numerics:
        Bit for bit what :func:`batch_norm_relu` gave.
    """
    _check(x, weight, bias, residual, eps)
    for name, vector in {"mean": mean, "variance": variance}.items():
        check.parameter(name, vector, x.shape[1:2], "x", x)
    result: Tensor = _normalize(x, mean, variance, weight, bias, residual, eps, pool)
    return result


def _check(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, eps: float) -> None:
    check.feature_map("x", x)
    for name, vector in {"weight": weight, "bias": bias}.items():
        check.parameter(name, vector, x.shape[1:2], "x", x)
    if residual is not None:
        check.floating("residual", residual)
        check.matching("residual", residual, "x", x)
    check.within("eps", eps, 0, math.inf)
