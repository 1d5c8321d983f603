"""The mix-FFN: two layers on the channels of each pixel, between which it sees its neighbours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dislayers._runtime.rebuild import rebuilding
from dislayers.depthwise_gelu import DepthwiseGELU
from dislayers.pointwise import Pointwise

# Numbers of a wide map that a core's share of the cache holds, and rows of a band, which has one more at each edge.
_NUMBERS, _ROWS = 2**20, 16


class MixFFN(nn.Module):
    """A 1x1 convolution to many channels, a 3x3 depthwise one with GELU, a 1x1 one back: ``project(mix(expand(x)))``.

    Of the two wide maps backward keeps the first alone; the second is computed again from it. While gradients are off
    (``torch.no_grad``), a CPU goes through large maps in bands of rows, so that there never is a whole wide one; hooks
    of the three layers see bands then. Under torch.compile, and where a layer was replaced by another class, they are
    simply called.

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
        rows = x.shape[2] if torch.compiler.is_compiling() or torch.is_grad_enabled() else self._rows_of_a_band(x)
        return self._in_bands(x, rows) if rows < x.shape[2] else self._whole(x)

    def _whole(self, x: Tensor) -> Tensor:
        mixed = self.mix(self.expand(x))
        with rebuilding(mixed):
            out: Tensor = self.project(mixed)
        return out

    def _rows_of_a_band(self, x: Tensor) -> int:
        """All of them, too, where a layer was replaced by one that may see more rows than it does."""
        layers = [type(layer) for layer in (self.expand, self.mix, self.project)]
        known = layers == [Pointwise, DepthwiseGELU, Pointwise] and self.mix.kernel_size == (3, 3)
        if x.device.type != "cpu" or not known:
            return x.shape[2]
        bands = x.numel() // x.shape[1] * self.mix.out_channels // _NUMBERS
        return max(-(-x.shape[2] // max(bands, 1)), _ROWS)

    def _in_bands(self, x: Tensor, rows: int) -> Tensor:
        return torch.cat([self._band(x, first, rows) for first in range(0, x.shape[2], rows)], dim=2)

    def _band(self, x: Tensor, first: int, rows: int) -> Tensor:
        above = min(first, 1)
        mixed = self.mix(self.expand(x[:, :, first - above : first + rows + 1]))
        band: Tensor = self.project(mixed[:, :, above : above + rows])
        return band
