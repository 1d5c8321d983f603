"""The mix-FFN: two layers on the channels of each pixel, between which it sees its neighbours."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dislayers._runtime.rebuild import rebuildable, rebuilding, recipe_of
from dislayers.depthwise_gelu import DepthwiseGELU, depthwise_gelu
from dislayers.pointwise import Pointwise

# Numbers of a wide map that a core's share of the cache holds, and rows of a band, which has one more at each edge.
_NUMBERS, _ROWS = 2**20, 16


class MixFFN(nn.Module):
    """A 1x1 convolution to many channels, a 3x3 depthwise one with GELU, a 1x1 one back: ``project(mix(expand(x)))``.

    Of the two wide maps backward keeps the first alone; the second is computed again from it. Where nothing is to be
    differentiated, a CPU goes through large maps in bands of rows, so that there never is a whole wide one; hooks of
    the three layers see bands then. Under torch.compile they are simply called.

    Args:
        channels: C.
        hidden: channels of the wide maps.

    Shape:
        (B, C, H, W) -> (B, C, H, W), any H and W.

    Source:
        SegFormer (Xie et al., 2021), equation 3, without the shortcut; SegNeXt (Guo et al., 2022), figure 2.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.expand = Pointwise(channels, hidden)
        self.mix = DepthwiseGELU(hidden)
        self.project = Pointwise(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the three layers to x."""
        if torch.compiler.is_compiling():
            return self._whole(x)
        if torch.is_grad_enabled():
            return self._keeping_one(x)
        bands = x.numel() // x.shape[1] * self.mix.out_channels // _NUMBERS if x.device.type == "cpu" else 1
        rows = max(-(-x.shape[2] // max(bands, 1)), _ROWS)
        return self._in_bands(x, rows) if rows < x.shape[2] else self._whole(x)

    def _whole(self, x: Tensor) -> Tensor:
        out: Tensor = self.project(self.mix(self.expand(x)))
        return out

    def _keeping_one(self, x: Tensor) -> Tensor:
        wide = self.expand(x)
        mixed = self.mix(wide)
        if mixed.requires_grad:
            rebuildable(mixed, _again(wide.detach(), self.mix))
        with rebuilding(mixed):
            out: Tensor = self.project(mixed)
        return out

    def _in_bands(self, x: Tensor, rows: int) -> Tensor:
        return torch.cat([self._band(x, first, rows) for first in range(0, x.shape[2], rows)], dim=2)

    def _band(self, x: Tensor, first: int, rows: int) -> Tensor:
        above = min(first, 1)
        mixed = self.mix(self.expand(x[:, :, first - above : first + rows + 1]))
        band: Tensor = self.project(mixed[:, :, above : above + rows])
        return band


def _again(wide: Tensor, mix: DepthwiseGELU) -> Callable[[], Tensor]:
    weight, bias = recipe_of(mix.weight), recipe_of(mix.bias)
    return lambda: depthwise_gelu(wide, weight(), bias())
