"""Residual U-blocks: RSU-7 ... RSU-4 and the dilated RSU-4F."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from dislayers.conv_norm_act import ConvNormAct
from dislayers.upsample_concat import upsample_concat


class _ResidualU(nn.Module):
    """A U of convolutions around which the input convolution's output is added: ``x0 = input(x); U(x0) + x0``.

    ``encoder[i]`` and ``decoder[i]`` are the convolutions of level i, the finest first; the encoder's last one is the
    bottom of the U and has no partner. ``pool`` shrinks what enters levels 1, 2, ... but not the bottom.
    """

    def __init__(
        self, in_channels: int, mid_channels: int, out_channels: int, dilations: Sequence[int], pool: nn.Module
    ) -> None:
        super().__init__()
        levels = len(dilations) - 1
        self.input = ConvNormAct(in_channels, out_channels)
        self.encoder = nn.ModuleList(
            ConvNormAct(mid_channels if level else out_channels, mid_channels, dilation)
            for level, dilation in enumerate(dilations)
        )
        self.decoder = nn.ModuleList(
            ConvNormAct(2 * mid_channels, mid_channels if level else out_channels, dilations[level])
            for level in range(levels)
        )
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H, W), any H and W."""
        residual: Tensor = self.input(x)
        x = self.encoder[0](residual)
        skips = [x]
        for conv in self.encoder[1:-1]:
            x = conv(self.pool(x))
            skips.append(x)
        x = self.encoder[-1](x)
        for conv, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
            x = conv(upsample_concat(x, skip))
        return x + residual


class RSU(_ResidualU):
    """Residual U-block RSU-L: L - 1 scales by 2x2 max-pooling, a dilated bottom, a residual around the whole.

    Args:
        depth: L, at least 3; the U²-Net paper uses 7, 6, 5 and 4.
        in_channels: channels of the input.
        mid_channels: channels inside the U.
        out_channels: channels of the output.

    Shape:
        (B, in_channels, H, W) -> (B, out_channels, H, W), any H and W (pooling rounds up).

    Raises:
        ValueError: depth is below 3.

    Source:
        U²-Net (Qin et al., 2020), section 3.1 and table 1.
    """

    def __init__(self, depth: int, in_channels: int, mid_channels: int, out_channels: int) -> None:
        if depth < 3:
            raise ValueError(f"depth must be at least 3, got {depth}")
        dilations = [1] * (depth - 1) + [2]
        pool = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        super().__init__(in_channels, mid_channels, out_channels, dilations, pool)


class DilatedRSU(_ResidualU):
    """Residual U-block RSU-4F: dilations 1, 2, 4, 8 in the place of pooling, every map at the input's size.

    Args:
        in_channels: channels of the input.
        mid_channels: channels inside the U.
        out_channels: channels of the output.

    Shape:
        (B, in_channels, H, W) -> (B, out_channels, H, W).

    Source:
        U²-Net (Qin et al., 2020), section 3.2 and table 1.
    """

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, mid_channels, out_channels, dilations=(1, 2, 4, 8), pool=nn.Identity())
