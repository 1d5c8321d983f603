"""Batch normalisation in training, ReLU and pooling in plain PyTorch, and their gradient in closed form."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dislayers._runtime.layout import stored_like
from dislayers._runtime.precision import exact


def batch_norm_relu(
    x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, eps: float, pool: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``relu((x - mean) / sqrt(variance + eps) weight + bias) + residual``, its pooled map, mean and variance."""
    variance, mean = torch.var_mean(exact(x, x), (0, 2, 3), correction=0)
    out = normalize_relu(x, mean, variance, weight, bias, residual, eps, False)
    return out, _pooled(out, x) if pool else x.new_empty(0), mean.detach(), variance.detach()


def normalize_relu(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None,
    eps: float,
    pool: bool,
) -> Tensor:
    """The same with statistics that are known: the map, or with ``pool`` the pooled one."""
    out = F.relu(_affine(x, mean, variance, weight, bias, eps))
    if residual is not None:
        out = out + exact(residual, x)
    out = stored_like(out, x)
    return _pooled(out, x) if pool else out


def backward(
    d_out: Tensor | None,
    d_pooled: Tensor | None,
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    residual: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of x, weight, bias and, if there is one under the pooling, residual."""
    incoming = torch.zeros_like(x) if d_out is None else d_out
    incoming = exact(incoming, x)
    if d_pooled is not None:
        out = normalize_relu(x, mean, variance, weight, bias, residual, eps, False)
        incoming = incoming + _unpooled(exact(d_pooled, x), out)
    d_residual = x.new_empty(0) if residual is None or d_pooled is None else stored_like(incoming, residual)
    incoming = incoming.masked_fill(_affine(x, mean, variance, weight, bias, eps) <= 0, 0)
    reciprocal = _over_channels(torch.rsqrt(variance + eps), x)
    normalized = (exact(x, x) - _over_channels(mean, x)) * reciprocal
    d_bias, d_weight = incoming.sum((0, 2, 3)), (incoming * normalized).sum((0, 2, 3))
    shared = (_over_channels(d_bias, x) + normalized * _over_channels(d_weight, x)) / (x.numel() // x.shape[1])
    d_x = (incoming - shared) * (reciprocal * _over_channels(weight, x))
    return stored_like(d_x, x), d_weight.to(weight.dtype), d_bias.to(bias.dtype), d_residual


def pooled_room(x: Tensor) -> Tensor:
    """An empty tensor for 2x2 windows of x, those at the edge cut, with its order of dimensions in memory."""
    return torch.empty_like(x[:, :, ::2, ::2])


def _affine(x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """What the ReLU is given."""
    scale = torch.rsqrt(variance + eps) * exact(weight, x)
    return (exact(x, x) - _over_channels(mean, x)) * _over_channels(scale, x) + _over_channels(bias, x)


def _pooled(out: Tensor, x: Tensor) -> Tensor:
    return pooled_room(x).copy_(F.max_pool2d(out, 2, stride=2, ceil_mode=True))


def _unpooled(d_pooled: Tensor, out: Tensor) -> Tensor:
    """The gradient of each window at its first maximum; as PyTorch has it, the last NaN is above all."""
    _, places = F.max_pool2d(out, 2, stride=2, ceil_mode=True, return_indices=True)
    planes = torch.zeros_like(out, dtype=d_pooled.dtype, memory_format=torch.contiguous_format).flatten(2)
    return planes.scatter_(2, places.flatten(2), d_pooled.flatten(2)).view(out.shape)


def _over_channels(vector: Tensor, x: Tensor) -> Tensor:
    return exact(vector, x).view(-1, 1, 1)
