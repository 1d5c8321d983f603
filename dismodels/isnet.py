"""IS-Net and the encoder of ground truths that supervises its features."""

from __future__ import annotations

from torch import Tensor, nn

from dislayers import ConvNormAct
from dismodels.side_outputs import SideOutputModel, SideOutputs, initialize_xavier
from dismodels.u2net import (
    DECODER,
    ENCODER,
    NestedU,
    Stage,
    encode,
    official_name,
    scaled,
    side_convolutions,
    side_logits,
)

GT_ENCODER = (
    Stage("RSU-7", 16, 64),
    Stage("RSU-6", 16, 64),
    Stage("RSU-5", 32, 128),
    Stage("RSU-4", 32, 256),
    Stage("RSU-4F", 64, 512),
    Stage("RSU-4F", 64, 512),
)


class ISNet(NestedU):
    """IS-Net: U²-Net behind a convolution of stride 2, six side outputs, no fusion.

    Args:
        in_channels: channels of the image.
        width: multiplies every channel count; 1 is the paper's network (44,046,790 parameters).

    Shape:
        image (B, in_channels, H, W), any size -> :class:`SideOutputs` of six logits and six features at H/2, H/4, ...,
        H/64, rounded up.

    Source:
        DIS5K paper (Qin et al., 2022), section 4.1 and figure 5. The input convolution is bare, without normalisation
        or ReLU, as in the official code.
    """

    def __init__(self, in_channels: int = 3, width: float = 1.0) -> None:
        first = ENCODER[0].scaled(width).out_channels
        super().__init__(in_channels, first, [s.scaled(width) for s in ENCODER], [s.scaled(width) for s in DECODER])
        self.conv_in = nn.Conv2d(in_channels, first, 3, stride=2, padding=1)
        initialize_xavier(self)

    def forward(self, image: Tensor) -> SideOutputs:
        """Segment image, normalised by ``self.normalization``."""
        features = self.features(self.conv_in(image))
        return SideOutputs(side_logits(self.sides, features), features)


class ISNetGTEncoder(SideOutputModel):
    """The GT encoder: it learns to give back a mask, and its features then guide IS-Net's.

    Args:
        in_channels: channels of the mask; 1 as in the official code, 3 as the paper writes.
        width: multiplies every channel count; 1 is the paper's network (6,877,734 parameters).

    Shape:
        mask (B, in_channels, H, W) in [0, 1] -> :class:`SideOutputs`, shapes as :class:`ISNet`'s of the same width.

    Source:
        DIS5K paper (Qin et al., 2022), section 4.2 and figure 5 (b).
    """

    official_name = staticmethod(official_name)

    def __init__(self, in_channels: int = 1, width: float = 1.0) -> None:
        super().__init__(in_channels)
        stages = [stage.scaled(width) for stage in GT_ENCODER]
        channels = [scaled(16, width), *(stage.out_channels for stage in stages)]
        self.conv_in = ConvNormAct(in_channels, channels[0], stride=2)
        self.encoder = nn.ModuleList(stage.build(before) for stage, before in zip(stages, channels, strict=False))
        self.sides = side_convolutions(stages)
        initialize_xavier(self)

    def forward(self, mask: Tensor) -> SideOutputs:
        """Encode mask and give it back from each of its six features."""
        features = encode(self.encoder, self.conv_in(mask))
        return SideOutputs(side_logits(self.sides, features), features)
