"""The GELU of a depthwise convolution in plain PyTorch, and its gradient in closed form."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dislayers._runtime.layout import stored_like
from dislayers._runtime.precision import exact

Gradients = tuple[Tensor, Tensor, Tensor]
"""Those of x, weight and bias."""


def depthwise_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``gelu(a)`` with ``a = conv(x)``, and ``gelu(a) = a Phi(a)``."""
    return stored_like(F.gelu(_convolve(exact(x, x), exact(weight, x), exact(bias, x))), x)


def backward(gradient: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> Gradients:
    """The gradients of :func:`depthwise_gelu`, which computes ``a`` anew."""
    image, kernel = exact(x, x), exact(weight, x)
    a = _convolve(image, kernel, exact(bias, x))
    d_a = exact(gradient, x) * gelu_derivative(a)
    d_x, d_weight, _ = torch.ops.aten.convolution_backward(
        d_a, image, kernel, [len(bias)], [1, 1], _padding(weight), [1, 1], False, [0, 0], len(bias), [True, True, False]
    )
    d_bias = d_a.sum((0, 2, 3))  # convolution_backward would add it up with 4 digits if it is channels_last
    return stored_like(d_x, x), stored_like(d_weight, weight), stored_like(d_bias, bias)


def gelu_derivative(a: Tensor) -> Tensor:
    """``Phi(a) + a phi(a)``, with the normal distribution and its density."""
    slope: Tensor = torch.special.ndtr(a) + a * torch.exp(-0.5 * a * a) / math.sqrt(2 * math.pi)
    return slope


def _convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A depthwise convolution that keeps the size."""
    with torch.autocast(x.device.type, enabled=False):
        return F.conv2d(x, weight, bias, padding=_padding(weight), groups=len(weight))


def _padding(weight: Tensor) -> list[int]:
    return [weight.shape[-2] // 2, weight.shape[-1] // 2]
