"""Convolution, batch normalisation, ReLU: the unit every residual U-block is made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dislayers._runtime.library import has_kernel
from dislayers._runtime.rebuild import rebuildable, rebuilding, recipe_of
from dislayers.conv_norm_act.op import BatchNormReLU, batch_norm_relu, normalize_relu


class ConvNormAct(nn.Module):
    """A 3x3 convolution padded to keep the size, batch normalisation, ReLU: ``relu(norm(conv(x)))``.

    The convolution has a bias although a normalisation follows it: the published weights have one.

    In training all that follows the convolution is one op, :func:`dislayers.batch_norm_relu`, which keeps only the
    convolution's output for backward; hooks of ``norm`` and ``act`` do not run then. An input that came from such a
    unit is not kept either: backward computes it again. The modules are called one by one in evaluation, on devices
    without a kernel for the op, under torch.compile, which decides itself what to keep, and where ``norm`` or ``act``
    was replaced by another class.

    A map that the unit gave may be changed in place; what it was made from (weights of ``norm``, a residual) may not
    before backward, which else raises RuntimeError.

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
        return self._in_one_op(x, residual, pool=False).out if self._is_fused(x) else self._one_by_one(x, residual)

    def forward_pooled(self, x: Tensor, residual: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The same, and its maxima over 2x2 windows, of which the edge may cut the last: half the size, rounded up."""
        if self._is_fused(x):
            out, pooled, *_ = self._in_one_op(x, residual, pool=True)
            assert pooled is not None
        else:
            out = self._one_by_one(x, residual)
            pooled = F.max_pool2d(out, 2, stride=2, ceil_mode=True)
        return out, pooled

    def _is_fused(self, x: Tensor) -> bool:
        """Whether the op does what follows the convolution, and has a kernel."""
        norm = self.norm
        known = type(norm) is nn.BatchNorm2d and type(self.act) is nn.ReLU and norm.training
        known = known and norm.track_running_stats and norm.weight is not None and norm.bias is not None
        return known and not torch.compiler.is_compiling() and has_kernel("dislayers::batch_norm_relu", x.device)

    def _one_by_one(self, x: Tensor, residual: Tensor | None) -> Tensor:
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out if residual is None else out + residual

    def _in_one_op(self, x: Tensor, residual: Tensor | None, pool: bool) -> BatchNormReLU:
        norm = self.norm
        with rebuilding(x):
            y = self.conv(x)
        with rebuilding(residual if pool else None):  # without pooling it is not kept
            result = batch_norm_relu(y, norm.weight, norm.bias, residual, norm.eps, pool)
        _track(norm, result.mean, result.variance, y.numel() // y.shape[1])
        if result.out.requires_grad:
            again = _second_pass(y.detach(), result.mean, result.variance, norm, residual)
            rebuildable(result.out, partial(again, pool=False))
            if result.pooled is not None:
                rebuildable(result.pooled, partial(again, pool=True))
        return result


def _second_pass(
    y: Tensor, mean: Tensor, variance: Tensor, norm: nn.BatchNorm2d, residual: Tensor | None
) -> Callable[..., Tensor]:
    """What makes a unit's map again, or its pooled map, from what backward keeps anyway."""
    eps, weight, bias = norm.eps, recipe_of(norm.weight), recipe_of(norm.bias)
    added = None if residual is None else recipe_of(residual)

    def again(pool: bool) -> Tensor:
        return normalize_relu(y, mean, variance, weight(), bias(), added and added(), eps, pool)

    return again


@torch.no_grad()
def _track(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics as the normalisation itself does, toward the unbiased variance of so many values."""
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    moved = 1 / norm.num_batches_tracked if norm.momentum is None else float(norm.momentum)
    for running, new in ((norm.running_mean, mean), (norm.running_var, variance * (count / (count - 1)))):
        assert running is not None
        running.lerp_(new.to(running), moved if isinstance(moved, float) else moved.to(running))
