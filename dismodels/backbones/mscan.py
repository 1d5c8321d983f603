"""MSCAN, SegNeXt's encoder: convolutional stages whose attention looks at several scales."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from dislayers import MixFFN, MultiScaleConvAttention, Pointwise
from dismodels.model import Model
from dismodels.normalization import IMAGENET, Normalization

_INITIAL_SCALE = 1e-2

_STAGE_PARTS = {"patch_embed": "embed", "block": "blocks", "norm": "norm"}
_BLOCK_PARTS = {
    "norm1": "attention.norm",
    "norm2": "mlp.norm",
    "layer_scale_1": "attention.scale",
    "layer_scale_2": "mlp.scale",
    "attn.proj_1": "attention.body.project_in",
    "attn.proj_2": "attention.body.project_out",
    "attn.spatial_gating_unit.conv0.": "attention.body.gate.depthwise.",
    "attn.spatial_gating_unit.conv3.": "attention.body.gate.pointwise.",
    "mlp.fc1": "mlp.body.expand",
    "mlp.dwconv.dwconv": "mlp.body.mix",
    "mlp.fc2": "mlp.body.project",
}
_STRIPS = {"1": "rows", "2": "columns"}


def official_name(key: str) -> str:
    """The name here of the entry that the official MSCAN, alone or as SegNeXt's ``backbone``, calls key.

    "" for those of a head: of the classifier that ImageNet's weights come with, or SegNeXt's.
    """
    if key.startswith(("head.", "decode_head.")):
        return ""
    key = key.removeprefix("backbone.")
    key = re.sub(r"^(patch_embed|block|norm)(\d)\b", lambda m: f"stages.{int(m[2]) - 1}.{_STAGE_PARTS[m[1]]}", key)
    key = re.sub(r"\bembed\.proj\.(\d)", r"embed.\1", key)
    key = key.replace("embed.proj.", "embed.0.").replace("embed.norm.", "embed.1.")
    key = re.sub(
        r"\battn\.spatial_gating_unit\.conv(\d)_(\d)\b", lambda m: f"attention.body.gate.{_STRIPS[m[2]]}.{m[1]}", key
    )
    for official, here in _BLOCK_PARTS.items():
        key = key.replace(f".{official}", f".{here}")
    return key


class MSCAN(Model):
    """Four stages of multi-scale convolutional attention; gives the map of each.

    Args:
        channels: of each stage's map.
        depths: blocks of each stage.
        mlp_ratios: of each stage, how many times as wide as the stage its MLPs are.
        in_channels: channels of the image.
        drop_path: probability that a sample skips a branch of the last block in training; over the blocks it grows
            linearly from 0.

    Shape:
        image (B, in_channels, H, W), any size -> maps (B, channels[i], h, w) at H/4, H/8, H/16, H/32 (rounded up),
        finest first.

    Raises:
        ValueError: drop_path is not in [0, 1), or channels, depths and mlp_ratios have not equally many entries.

    Source:
        SegNeXt (Guo et al., 2022), section 3.1 and table 2, and its official code: the map that a stage's layer norm
        gives feeds the next stage too, and the attention has a shortcut of its own.
    """

    normalization: ClassVar[Normalization] = IMAGENET
    official_name = staticmethod(official_name)

    def __init__(
        self,
        channels: Sequence[int],
        depths: Sequence[int],
        mlp_ratios: Sequence[int] = (8, 8, 4, 4),
        in_channels: int = 3,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__(in_channels)
        if not 0 <= drop_path < 1:
            raise ValueError(f"drop_path must be in [0, 1), got {drop_path}")
        if not len(channels) == len(depths) == len(mlp_ratios):
            entries = f"{len(channels)}, {len(depths)} and {len(mlp_ratios)}"
            raise ValueError(f"channels, depths and mlp_ratios must have equally many entries, got {entries}")
        self.channels = tuple(channels)
        last = max(sum(depths) - 1, 1)
        drops = (drop_path * block / last for block in range(sum(depths)))
        embeds = [_stem(in_channels, channels[0]), *map(_embed, channels, channels[1:])]
        self.stages = nn.ModuleList(
            _Stage(embed, width, [_Block(width, ratio, next(drops)) for _ in range(depth)])
            for embed, width, depth, ratio in zip(embeds, channels, depths, mlp_ratios, strict=True)
        )
        initialize_he(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """The maps of image, normalised by ``self.normalization``."""
        maps = []
        x = image
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class _Stage(nn.Module):
    """Halves the map, refines it in blocks, normalises it."""

    def __init__(self, embed: nn.Module, channels: int, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.embed = embed
        self.blocks = nn.Sequential(*blocks)
        self.norm = _ChannelNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.blocks(self.embed(x)))
        return x


class _Block(nn.Module):
    """Attention, then an MLP that sees 3x3 pixels, each a branch of its own."""

    def __init__(self, channels: int, mlp_ratio: int, drop_path: float) -> None:
        super().__init__()
        self.attention = _Branch(_Attention(channels), channels, drop_path)
        self.mlp = _Branch(MixFFN(channels, mlp_ratio * channels), channels, drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mlp(self.attention(x))
        return x


class _Branch(nn.Module):
    """``x + scale * body(norm(x))``; in training some samples go without the branch, which the others have larger."""

    def __init__(self, body: nn.Module, channels: int, drop_path: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.body = body
        self.scale = nn.Parameter(torch.full((channels,), _INITIAL_SCALE))
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        scale = self.scale.view(-1, 1, 1)
        if self.training and self.drop_path > 0:
            kept = 1 - self.drop_path
            scale = scale * scale.new_empty(len(x), 1, 1, 1).bernoulli_(kept).div_(kept)
        return torch.addcmul(x, self.body(self.norm(x)), scale)


class _Attention(nn.Module):
    """``x + project_out(gate(gelu(project_in(x))))``, the projections 1x1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project_in = Pointwise(channels, channels)
        self.act = nn.GELU()
        self.gate = MultiScaleConvAttention(channels)
        self.project_out = Pointwise(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.project_out(self.gate(self.act(self.project_in(x))))
        return out


class _ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of (B, C, H, W), which keeps the map's layout."""

    def forward(self, x: Tensor) -> Tensor:
        normalised = super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return normalised.contiguous() if x.is_contiguous() else normalised


def _halving(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1), nn.BatchNorm2d(out_channels)]


def _stem(in_channels: int, channels: int) -> nn.Sequential:
    middle = channels // 2
    return nn.Sequential(*_halving(in_channels, middle), nn.GELU(), *_halving(middle, channels))


def _embed(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*_halving(in_channels, channels))


def initialize_he(model: nn.Module) -> None:
    """Normal weights that keep a gradient's variance (He et al., 2015), and zero biases, for every convolution."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


TINY = partial(MSCAN, (32, 64, 160, 256), (3, 3, 5, 2))
SMALL = partial(MSCAN, (64, 128, 320, 512), (2, 2, 4, 2))
BASE = partial(MSCAN, (64, 128, 320, 512), (3, 3, 12, 3))
LARGE = partial(MSCAN, (64, 128, 320, 512), (3, 5, 27, 3), drop_path=0.3)
