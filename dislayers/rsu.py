"""Residual U-blocks: RSU-7 ... RSU-4 and the dilated RSU-4F."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from dislayers.conv_norm_act import ConvNormAct
from dislayers.upsample_concat import upsample_concat

_Down = Callable[[Any, Tensor], tuple[Tensor, Tensor]]


class _ResidualU(nn.Module):
    """A U of convolutions around which the input convolution's output is added: ``x0 = input(x); U(x0) + x0``.

    ``encoder[i]`` and ``decoder[i]`` are the convolutions of level i, the finest first; the encoder's last one is the
    bottom of the U and has no partner. ``down`` applies a convolution of the encoder: what it gives, and what enters
    the level below, which the bottom is not.
    """

    def __init__(
        self, in_channels: int, mid_channels: int, out_channels: int, dilations: Sequence[int], down: _Down
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
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H, W), any H and W."""
        out: Tensor = self.decoder[0](*self._inside(x))
        return out

    def forward_pooled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What :meth:`forward` gives, and its 2x2 max-pooling, rounded up."""
        last: ConvNormAct = self.decoder[0]  # type: ignore[assignment]
        return last.forward_pooled(*self._inside(x))

    def _inside(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What enters the decoder's last convolution, and x0."""
        residual: Tensor = self.input(x)
        skips, x = [], residual
        for conv in self.encoder[:-2]:
            skip, x = self.down(conv, x)
            skips.append(skip)
        skips.append(self.encoder[-2](x))
        x = self.encoder[-1](skips[-1])
        for conv in reversed(self.decoder[1:]):
            x = conv(upsample_concat(x, skips.pop()))
        return upsample_concat(x, skips.pop()), residual


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
        super().__init__(in_channels, mid_channels, out_channels, dilations, ConvNormAct.forward_pooled)


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
        super().__init__(in_channels, mid_channels, out_channels, (1, 2, 4, 8), _at_the_same_size)


def _at_the_same_size(conv: ConvNormAct, x: Tensor) -> tuple[Tensor, Tensor]:
    out: Tensor = conv(x)
    return out, out
