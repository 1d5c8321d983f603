"""Multi-scale convolutional attention as a module."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from dislayers.multiscale_conv_attention.op import multiscale_depthwise
from dislayers.pointwise_gate import pointwise_gate


class MultiScaleConvAttention(nn.Module):
    """A gate from convolutions of several sizes: ``pointwise(a + sum_i column_i(row_i(a))) * x``.

    ``a = depthwise(x)`` has a square kernel; rows and columns are strips of 1 x k_i and k_i x 1, ``pointwise`` is a 1x1
    convolution; all have a bias. See :func:`dislayers.multiscale_depthwise` and
    :func:`dislayers.pointwise_gate`. Backward keeps two maps, x and what the 1x1 convolution takes.

    Args:
        channels: C.
        kernel_sizes: odd; the square's, then the strips'.

    Shape:
        (B, C, H, W) -> (B, C, H, W), any H and W.

    Raises:
        ValueError: there are no kernel sizes, or one is not odd.

    Source:
        SegNeXt (Guo et al., 2022), equation 1.
    """

    def __init__(self, channels: int, kernel_sizes: Sequence[int] = (5, 7, 11, 21)) -> None:
        super().__init__()
        if not kernel_sizes or any(size < 1 or size % 2 == 0 for size in kernel_sizes):
            raise ValueError(f"kernel_sizes must be odd numbers, at least one, got {tuple(kernel_sizes)}")
        square, *strips = kernel_sizes
        self.depthwise = _depthwise(channels, square, square)
        self.rows = nn.ModuleList(_depthwise(channels, 1, size) for size in strips)
        self.columns = nn.ModuleList(_depthwise(channels, size, 1) for size in strips)
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate (B, C, H, W) with its own surroundings."""
        (weight,), (bias,) = _parameters([self.depthwise])
        strips = *_parameters(self.rows), *_parameters(self.columns)
        (mixing,), (offset,) = _parameters([self.pointwise])
        return pointwise_gate(multiscale_depthwise(x, weight, bias, *strips), mixing, offset, x)


def _parameters(convolutions: Iterable[nn.Module]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Their weights and their biases."""
    weights, biases = ([conv.get_parameter(name) for conv in convolutions] for name in ("weight", "bias"))
    return weights, biases


def _depthwise(channels: int, height: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, (height, width), padding=(height // 2, width // 2), groups=channels)
