"""SegNeXt: one hamburger head on the three coarser maps of MSCAN."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from dislayers import Hamburger, Pointwise, upsample
from dismodels.backbones import mscan
from dismodels.normalization import IMAGENET, Normalization
from dismodels.side_outputs import SideOutputModel, SideOutputs

_GROUPS = 32

_HEAD_PARTS = {
    "decode_head.conv_seg.": "head.classify.",
    "decode_head.": "head.",
    "ham_in.conv.": "conv_in.",
    "ham_out.conv.": "conv_out.",
    "ham_out.gn.": "norm.",
    ".conv.": ".0.",
    ".gn.": ".1.",
}


def official_name(key: str) -> str:
    """The name here of the entry that the official SegNeXt calls key."""
    if key.startswith("backbone."):
        return f"backbone.{mscan.official_name(key)}"
    for official, here in _HEAD_PARTS.items():
        key = key.replace(official, here)
    return key


class HamburgerHead(nn.Module):
    """Logits of a map that a hamburger sees as a whole: ``classify(dropout(align(hamburger(squeeze(x)))))``.

    All convolutions are 1x1; squeeze and align have no bias, but a group norm and ReLU. The features are what align
    gives.

    Args:
        in_channels: of the map.
        width: channels of everything after it, a multiple of 32.
        rank: of the factorisation in the hamburger.
        num_classes: channels of the logits.
        bases: of the factorisation in evaluation, "seeded" or "random"; see :class:`dislayers.Hamburger`.

    Shape:
        (B, in_channels, H, W) -> logits (B, num_classes, H, W) and features (B, width, H, W).

    Source:
        SegNeXt (Guo et al., 2022), section 3.2 and figure 3, and its official code.
    """

    def __init__(self, in_channels: int, width: int, rank: int, num_classes: int = 1, bases: str = "seeded") -> None:
        super().__init__()
        self.squeeze = _conv_norm_relu(in_channels, width)
        self.hamburger = Hamburger(width, rank, bases=bases, groups=_GROUPS)
        self.align = _conv_norm_relu(width, width)
        self.dropout = nn.Dropout2d(0.1)
        self.classify = Pointwise(width, num_classes)
        mscan.initialize_he(self)
        nn.init.normal_(self.classify.weight, std=0.01)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The logits and the features of x."""
        features = self.align(self.hamburger(self.squeeze(x)))
        return self.classify(self.dropout(features)), features


def _conv_norm_relu(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        Pointwise(in_channels, out_channels, bias=False), nn.GroupNorm(_GROUPS, out_channels), nn.ReLU(inplace=True)
    )


class SegNeXt(SideOutputModel):
    """MSCAN and one hamburger head on its maps from H/8 to H/32, resized to H/8.

    With one class it is the single head of the one-stage progressive network's ablation.

    Args:
        backbone: makes the :class:`~dismodels.backbones.mscan.MSCAN`.
        width: of the head.
        rank: of its factorisation.
        num_classes: channels of the logits.
        in_channels: channels of the image.
        drop_path: of the backbone.
        bases: of the factorisation in evaluation. "seeded": an image always gives one result; "random": drawn for every
            call, as in the official code.

    Shape:
        image (B, in_channels, H, W), any size -> :class:`~dismodels.SideOutputs` of one map of logits
        (B, num_classes, h, w) and one of features (B, width, h, w) at H/8 (rounded up).

    Raises:
        ValueError: num_classes is less than 1, bases is unknown, or drop_path is not in [0, 1).

    Source:
        SegNeXt (Guo et al., 2022), section 3 and table 2, and its official code.
    """

    normalization: ClassVar[Normalization] = IMAGENET
    official_name = staticmethod(official_name)

    def __init__(
        self,
        backbone: Callable[..., mscan.MSCAN],
        width: int,
        rank: int,
        num_classes: int = 1,
        in_channels: int = 3,
        drop_path: float = 0.1,
        bases: str = "seeded",
    ) -> None:
        super().__init__(in_channels)
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        self.num_classes = num_classes
        self.backbone = backbone(in_channels=in_channels, drop_path=drop_path)
        self.head = HamburgerHead(sum(self.backbone.channels[1:]), width, rank, num_classes, bases)

    def forward(self, image: Tensor) -> SideOutputs:
        """Segment image, normalised by ``self.normalization``."""
        _, *maps = self.backbone(image)
        logits, features = self.head(torch.cat([upsample(x, maps[0].shape[-2:]) for x in maps], dim=1))
        return SideOutputs([logits], [features])

    def predict(self, image: Tensor) -> Tensor:
        """Probabilities at the image's own size.

        Args:
            image: (B, in_channels, H, W), normalised by ``self.normalization``.

        Returns:
            (B, num_classes, H, W) in [0, 1]: the logits, resized bilinearly (``align_corners=False``), through a
            sigmoid if there is one class, through a softmax over several.
        """
        logits = upsample(self(image).logits[0], image.shape[-2:])
        return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


TINY = partial(SegNeXt, mscan.TINY, 256, 16)
SMALL = partial(SegNeXt, mscan.SMALL, 256, 16)
BASE = partial(SegNeXt, mscan.BASE, 512, 64)
LARGE = partial(SegNeXt, mscan.LARGE, 1024, 64, drop_path=0.3)
