"""Convolution, batch normalisation, ReLU: the unit every residual U-block is made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dislayers.conv_norm_act.op import BatchNormReLU, batch_norm_relu


class ConvNormAct(nn.Module):
    """A 3x3 convolution padded to keep the size, batch normalisation, ReLU: ``relu(norm(conv(x)))``.

    The convolution has a bias although a normalisation follows it: the published weights have one.

    In training all that follows the convolution is one op, :func:`dislayers.batch_norm_relu`, which keeps only the
    convolution's output for backward; hooks of ``norm`` and ``act`` do not run then. In evaluation, under
    torch.compile, and where ``norm`` or ``act`` is of another class, the modules are called one by one.

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

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Apply the unit to x of shape (B, in_channels, H, W), and add a residual of the output's shape, if any."""
        x = self.conv(x)
        if self._in_one_op():
            return self._normalize(x, residual, pool=False).out
        return self._one_by_one(x, residual)

    def forward_pooled(self, x: Tensor, residual: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The same, and its maxima over 2x2 windows, of which the edge may cut the last: half the size, rounded up."""
        x = self.conv(x)
        if self._in_one_op():
            out, pooled, *_ = self._normalize(x, residual, pool=True)
            assert pooled is not None
            return out, pooled
        out = self._one_by_one(x, residual)
        return out, F.max_pool2d(out, 2, stride=2, ceil_mode=True)

    def _one_by_one(self, x: Tensor, residual: Tensor | None) -> Tensor:
        out: Tensor = self.act(self.norm(x))
        return out if residual is None else out + residual

    def _in_one_op(self) -> bool:
        """Whether what follows the convolution is what the op does; torch.compile fuses the modules itself."""
        norm = self.norm
        known = type(norm) is nn.BatchNorm2d and type(self.act) is nn.ReLU and not torch.compiler.is_compiling()
        return (
            known and norm.training and norm.track_running_stats and norm.weight is not None and norm.bias is not None
        )

    def _normalize(self, x: Tensor, residual: Tensor | None, pool: bool) -> BatchNormReLU:
        result = batch_norm_relu(x, self.norm.weight, self.norm.bias, residual, self.norm.eps, pool)
        _track(self.norm, result.mean, result.variance, x.numel() // x.shape[1])
        return result


@torch.no_grad()
def _track(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics as the normalisation itself does, toward the unbiased variance of so many values."""
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    moved = 1 / norm.num_batches_tracked if norm.momentum is None else norm.momentum
    for running, new in ((norm.running_mean, mean), (norm.running_var, variance * (count / (count - 1)))):
        assert running is not None
        running.lerp_(new.to(running), moved if isinstance(moved, float) else moved.to(running))
