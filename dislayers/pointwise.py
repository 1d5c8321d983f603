"""Convolutions of 1x1, which on a CPU take PyTorch's faster code."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Mix the channels of each pixel: ``conv2d(x, weight, bias)``.

    Args:
        x: (B, C, H, W), floating.
        weight: (D, C, 1, 1), of x's dtype.
        bias: (D,), of x's dtype.

    Returns:
        (B, D, H, W).
    """
    # On one thread PyTorch has slower code of its own for 1x1 kernels, unless they are dilated; a pixel does not
    # notice. Elsewhere a dilation would lead away from the product of matrices that it is.
    return F.conv2d(x, weight, bias, dilation=2 if x.device.type == "cpu" else 1)


class Pointwise(nn.Conv2d):
    """A 1x1 convolution as a layer, with the parameters of ``nn.Conv2d(in_channels, out_channels, 1)``.

    Args:
        in_channels: C.
        out_channels: D.
        bias: whether there is one.

    Shape:
        (B, C, H, W) -> (B, D, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """See :func:`pointwise`."""
        return pointwise(x, self.weight, self.bias)
