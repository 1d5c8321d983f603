"""U²-Net, full and small: a U whose stages are residual U-blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from dislayers import RSU, DilatedRSU, upsample, upsample_concat
from dismodels.normalization import IMAGENET, Normalization
from dismodels.side_outputs import SideOutputModel, SideOutputs, initialize_xavier

BLOCKS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "RSU-7": partial(RSU, 7),
    "RSU-6": partial(RSU, 6),
    "RSU-5": partial(RSU, 5),
    "RSU-4": partial(RSU, 4),
    "RSU-4F": DilatedRSU,
}


def scaled(channels: int, width: float) -> int:
    """A channel count multiplied by width, rounded, at least 1."""
    return max(1, round(channels * width))


class Stage(NamedTuple):
    """One stage of a nested U: the block's name in the paper, its inner and its output channels."""

    block: str
    mid_channels: int
    out_channels: int

    def scaled(self, width: float) -> Stage:
        """The stage with its channels multiplied by width."""
        return Stage(self.block, scaled(self.mid_channels, width), scaled(self.out_channels, width))

    def build(self, in_channels: int) -> nn.Module:
        """The block that takes in_channels."""
        return BLOCKS[self.block](in_channels, self.mid_channels, self.out_channels)


ENCODER = (
    Stage("RSU-7", 32, 64),
    Stage("RSU-6", 32, 128),
    Stage("RSU-5", 64, 256),
    Stage("RSU-4", 128, 512),
    Stage("RSU-4F", 256, 512),
    Stage("RSU-4F", 256, 512),
)
# Finest first, as every list of stages and side outputs here.
DECODER = (
    Stage("RSU-7", 16, 64),
    Stage("RSU-6", 32, 64),
    Stage("RSU-5", 64, 128),
    Stage("RSU-4", 128, 256),
    Stage("RSU-4F", 256, 512),
)


def official_name(key: str) -> str:
    """The name here of the entry that the official U²-Net, IS-Net and GT encoder call key."""
    key = re.sub(r"\b(stage|rebnconv)(\d)d\b", lambda m: f"decoder.{int(m[2]) - 1}", key)
    key = re.sub(r"\b(stage|rebnconv)(\d)\b", lambda m: f"encoder.{int(m[2]) - 1}", key)
    key = re.sub(r"\bside(\d)\b", lambda m: f"sides.{int(m[1]) - 1}", key)
    key = key.replace("rebnconvin.", "input.").replace("conv_s1.", "conv.").replace("bn_s1.", "norm.")
    return key.replace("conv_in.bn.", "conv_in.norm.").replace("outconv.", "fuse.")


class NestedU(SideOutputModel):
    """An encoder and a decoder of residual U-blocks, a 3x3 side output on each of the six scales.

    The supervised features are the decoder's outputs and, coarsest, the encoder's last; 2x2 max-pooling (rounding up)
    lies between encoder stages.

    Args:
        in_channels: channels of the image.
        first_channels: channels that enter the first stage.
        encoder: its stages, finest first.
        decoder: its stages, finest first, one fewer.
    """

    official_name = staticmethod(official_name)

    def __init__(
        self, in_channels: int, first_channels: int, encoder: Sequence[Stage], decoder: Sequence[Stage]
    ) -> None:
        super().__init__(in_channels)
        channels = [first_channels, *(stage.out_channels for stage in encoder)]
        self.encoder = nn.ModuleList(stage.build(before) for stage, before in zip(encoder, channels, strict=False))
        below = [*(stage.out_channels for stage in decoder[1:]), encoder[-1].out_channels]
        self.decoder = nn.ModuleList(
            stage.build(under + skip) for stage, under, skip in zip(decoder, below, channels[1:], strict=False)
        )
        self.sides = side_convolutions([*decoder, encoder[-1]])

    def features(self, x: Tensor) -> list[Tensor]:
        """The six feature maps of x (B, C, H, W), finest first."""
        skips = encode(self.encoder, x)
        x = skips.pop()
        features = [x]
        for stage, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
            x = stage(upsample_concat(x, skip))
            features.append(x)
        return features[::-1]


def encode(stages: nn.ModuleList, x: Tensor) -> list[Tensor]:
    """Outputs of the stages in turn, 2x2 max-pooling between them, finest first."""
    outputs: list[Tensor] = []
    stage: Any
    for stage in stages[:-1]:
        out, x = stage.forward_pooled(x)
        outputs.append(out)
    return [*outputs, stages[-1](x)]


def side_convolutions(stages: Sequence[Stage]) -> nn.ModuleList:
    """A 3x3 convolution to one channel of logits for the output of each stage."""
    return nn.ModuleList(nn.Conv2d(stage.out_channels, 1, 3, padding=1) for stage in stages)


def side_logits(sides: nn.ModuleList, features: list[Tensor]) -> list[Tensor]:
    """One map of logits (B, 1, h, w) for each feature map."""
    return [side(feature) for side, feature in zip(sides, features, strict=True)]


class U2Net(NestedU):
    """U²-Net: seven outputs, the first fused from the logits of the six sides.

    Args:
        in_channels: channels of the image.
        width: multiplies every channel count; 1 is the paper's network (44,009,869 parameters).
        encoder: its six stages, finest first.
        decoder: its five stages, finest first.

    Shape:
        image (B, in_channels, H, W), any size -> :class:`SideOutputs` of seven logits (B, 1, h, w), the fused one first
        (h, w = H, W, H, W, H/2, ..., H/32 rounded up) and six features.

    Source:
        U²-Net (Qin et al., 2020), figure 5 and table 1. Its released weights expect ImageNet's mean and deviation.
    """

    normalization: ClassVar[Normalization] = IMAGENET

    def __init__(
        self,
        in_channels: int = 3,
        width: float = 1.0,
        encoder: Sequence[Stage] = ENCODER,
        decoder: Sequence[Stage] = DECODER,
    ) -> None:
        super().__init__(
            in_channels, in_channels, [s.scaled(width) for s in encoder], [s.scaled(width) for s in decoder]
        )
        self.fuse = nn.Conv2d(len(encoder), 1, 1)
        initialize_xavier(self)

    def forward(self, image: Tensor) -> SideOutputs:
        """Segment image, normalised by ``self.normalization``."""
        features = self.features(image)
        sides = side_logits(self.sides, features)
        fused = self.fuse(torch.cat([upsample(side, sides[0].shape[-2:]) for side in sides], dim=1))
        return SideOutputs([fused, *sides], features)


class U2NetSmall(U2Net):
    """The small U²-Net of 1,131,181 parameters (published as "U2NETP"): 16 inner and 64 output channels everywhere.

    Args and shapes are :class:`U2Net`'s.
    """

    def __init__(self, in_channels: int = 3, width: float = 1.0) -> None:
        encoder = [Stage(stage.block, 16, 64) for stage in ENCODER]
        decoder = [Stage(stage.block, 16, 64) for stage in DECODER]
        super().__init__(in_channels, width, encoder, decoder)
