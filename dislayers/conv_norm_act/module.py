"""Convolution, batch normalisation, ReLU: the unit every residual U-block is made of."""

from __future__ import annotations

from torch import Tensor, nn


class ConvNormAct(nn.Module):
    """A 3x3 convolution padded to keep the size, batch normalisation, ReLU: ``relu(norm(conv(x)))``.

    The convolution has a bias although a normalisation follows it: the published weights have one.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        dilation: spacing of the kernel's taps, in pixels; the padding equals it.
        stride: the convolution's stride.

    Shape:
        (B, in_channels, H, W) -> (B, out_channels, H, W) over the stride (rounded up), any floating dtype.

    Source:
        U²-Net (Qin et al., 2020), its unit "REBNCONV".
    """

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride, padding=dilation, dilation=dilation)
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the unit to x of shape (B, in_channels, H, W)."""
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out
