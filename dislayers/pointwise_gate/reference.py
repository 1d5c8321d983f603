"""A 1x1 convolution times a feature map in plain PyTorch, and its gradient in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import channels_side_by_side, stored_like
from dislayers.pointwise import pointwise

Gradients = tuple[Tensor, Tensor, Tensor, Tensor]
"""Those of s, weight, bias and x."""


def pointwise_gate(s: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """The definition."""
    return pointwise(s, weight, bias) * x


def forward(s: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """As :func:`pointwise_gate`, with the dtype and layout of x; there is never a map beside the result."""
    return stored_like(_times(_gate(s, weight, bias), x), x)


def backward(gradient: Tensor, s: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> Gradients:
    """The gradients of :func:`pointwise_gate`, which computes the gate anew."""
    d_x = stored_like(_times(_gate(s, weight, bias), gradient), x)
    d_gate = (gradient * x).to(s.dtype)
    d_bias = d_gate.sum((0, 2, 3))  # convolution_backward would add it up with 4 digits if it is channels_last
    return *products(d_gate, s, weight), d_bias, d_x


def products(d_gate: Tensor, s: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """What s and the weight get from the gradient of their product: two multiplications of matrices."""
    matrix = weight.flatten(1)
    with torch.autocast(s.device.type, enabled=False):
        if channels_side_by_side(s):
            rows, features = (t.movedim(1, 3).flatten(0, 2) for t in (d_gate, s))
            d_s = (rows @ matrix).view(len(s), *s.shape[2:], s.shape[1]).movedim(3, 1)
            d_weight = rows.mT @ features
        else:
            rows, features = d_gate.flatten(2), s.flatten(2)
            d_s = (matrix.mT.expand(len(s), -1, -1) @ rows).view(s.shape)
            d_weight = (rows @ features.mT).sum(0)
    return stored_like(d_s, s), stored_like(d_weight.view(weight.shape), weight)


def _gate(s: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    with torch.autocast(s.device.type, enabled=False):
        return pointwise(s, weight, bias)


def _times(gate: Tensor, factor: Tensor) -> Tensor:
    """The product, in the place of the gate if its dtype holds it."""
    exact = torch.promote_types(gate.dtype, factor.dtype) == gate.dtype
    return gate.mul_(factor) if exact else gate * factor
