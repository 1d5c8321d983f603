"""A depthwise convolution and the GELU after it as a module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dislayers._runtime.rebuild import rebuildable, recipe_of
from dislayers.depthwise_gelu.op import depthwise_gelu


class DepthwiseGELU(nn.Conv2d):
    """A depthwise convolution that keeps the size, and the exact GELU of what it gives.

    It is an ``nn.Conv2d`` with the function of :func:`dislayers.depthwise_gelu`, so initialisation and weights are
    those of a convolution. Backward keeps one map, the input, and can make the result again from it.

    Args:
        channels: C.
        kernel_size: odd.

    Shape:
        (B, C, H, W) -> (B, C, H, W), any H and W.

    Raises:
        ValueError: kernel_size is not odd.

    Source:
        GELU (Hendrycks and Gimpel, 2016); SegNeXt (Guo et al., 2022), the MLP of a block.
    """

    bias: nn.Parameter

    def __init__(self, channels: int, kernel_size: int = 3) -> None:
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be an odd number, got {kernel_size}")
        super().__init__(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W) and activate what that gives."""
        arguments = x, self.weight, self.bias
        out = depthwise_gelu(*arguments)
        if out.requires_grad and not torch.compiler.is_compiling():
            recipes = [recipe_of(argument) for argument in arguments]
            rebuildable(out, lambda: depthwise_gelu(*(recipe() for recipe in recipes)))
        return out
