"""The one-stage progressive network: MSCAN and a hamburger head on each of its maps, from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from dislayers import upsample_concat
from dismodels.backbones import mscan
from dismodels.normalization import IMAGENET, Normalization
from dismodels.segnext import HamburgerHead
from dismodels.side_outputs import SideOutputModel, SideOutputs

BACKBONES = {"tiny": mscan.TINY, "small": mscan.SMALL, "base": mscan.BASE, "large": mscan.LARGE}


class Preset(NamedTuple):
    """One reading of the paper's decoder.

    Attributes:
        widths: channels of each level's head, finest first; the coarsest level is the backbone's coarsest map.
        rank: of the factorisations.
        feed_map: a level sees the foreground's probability from the level below.
        feed_features: a level sees the features from the level below.
    """

    widths: Sequence[int]
    rank: int
    feed_map: bool
    feed_features: bool = True


# On MSCAN-B each has the paper's 28.0 M parameters, and its 129.2 G multiplications within 2 %.
PRESETS = {
    "A": Preset((192, 192, 384, 384), rank=16, feed_map=True),
    "B": Preset((64, 192, 256, 512), rank=64, feed_map=False),
    "C": Preset((160, 192, 224, 512), rank=32, feed_map=False),
    "D": Preset((64, 128, 320, 512), rank=64, feed_map=True),
    "E": Preset((352, 352, 352), rank=64, feed_map=True),
}


class ProgressiveDecoder(nn.Module):
    """A hamburger head a level; each sees the backbone's map and what the level below, half as fine, has found.

    Args:
        channels: of the backbone's maps, finest first.
        widths: of the heads, finest first, for as many of the coarsest maps.
        rank: of the factorisations.
        feed_map: a level sees the foreground's probability from the level below, resized bilinearly.
        feed_features: a level sees the features from the level below, resized bilinearly.
        bases: of the factorisations in evaluation, "seeded" or "random".

    Shape:
        maps (B, channels[i], h_i, w_i), finest first -> :class:`~dismodels.SideOutputs` of a map of logits
        (B, 1, h_i, w_i) and one of features (B, widths[i], h_i, w_i) for each level, finest first.

    Raises:
        ValueError: there are no widths or more than channels, or one is no positive multiple of 32.
    """

    def __init__(
        self,
        channels: Sequence[int],
        widths: Sequence[int],
        rank: int,
        feed_map: bool = True,
        feed_features: bool = True,
        bases: str = "seeded",
    ) -> None:
        super().__init__()
        if not 1 <= len(widths) <= len(channels) or any(width < 1 or width % 32 for width in widths):
            raise ValueError(f"widths must be 1 to {len(channels)} positive multiples of 32, got {tuple(widths)}")
        self.feed_map = feed_map
        self.feed_features = feed_features
        fed = [*(feed_features * below + feed_map for below in widths[1:]), 0]
        self.heads = nn.ModuleList(
            HamburgerHead(below + own, width, rank, bases=bases)
            for below, own, width in zip(fed, channels[-len(widths) :], widths, strict=True)
        )

    def forward(self, maps: Sequence[Tensor]) -> SideOutputs:
        """Segment coarsely, then finer and finer."""
        outputs: list[tuple[Tensor, Tensor]] = []
        below: list[Tensor] = []
        for head, x in zip(reversed(self.heads), reversed(maps), strict=False):
            logits, features = head(upsample_concat(torch.cat(below, dim=1), x) if below else x)
            below = [features] * self.feed_features + [logits.sigmoid()] * self.feed_map
            outputs.insert(0, (logits, features))
        return SideOutputs(*map(list, zip(*outputs, strict=True)))


class Progressive(SideOutputModel):
    """The one-stage progressive network, which takes high resolution directly.

    Args:
        preset: "A" to "E", a decoder of :data:`PRESETS`; what is given beside it replaces a part of it.
        backbone: size of the MSCAN: "tiny", "small", "base" or "large".
        widths: channels of each level's head, finest first, multiples of 32; as many levels, counted from H/32.
        rank: of the factorisations.
        feed_map: a level sees the foreground's probability from the level below.
        feed_features: a level sees the features from the level below.
        in_channels: channels of the image.
        drop_path: of the backbone; SegNeXt has 0.3 for the large one.
        bases: of the factorisations in evaluation. "seeded": an image always gives one mask; "random": drawn for every
            call, as in SegNeXt's official code.

    Shape:
        image (B, in_channels, H, W), any size -> :class:`~dismodels.SideOutputs` of a map of logits and one of features
        for each level, at H/4, H/8, H/16 and H/32 (rounded up; three levels begin at H/8).

    Raises:
        ValueError: an option is none of those named.

    Source:
        One-stage Progressive Dichotomous Segmentation (Zhu et al.), figure 2, a poster; what it leaves open is in
        docs/numerics.md. Preset A has 28,008,132 parameters.
    """

    normalization: ClassVar[Normalization] = IMAGENET

    def __init__(
        self,
        preset: str = "A",
        backbone: str = "base",
        widths: Sequence[int] | None = None,
        rank: int | None = None,
        feed_map: bool | None = None,
        feed_features: bool | None = None,
        in_channels: int = 3,
        drop_path: float = 0.1,
        bases: str = "seeded",
    ) -> None:
        super().__init__(in_channels)
        for name, value, known in (("preset", preset, [*PRESETS]), ("backbone", backbone, [*BACKBONES])):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        given: dict[str, Any] = {"widths": widths, "rank": rank, "feed_map": feed_map, "feed_features": feed_features}
        decoder = PRESETS[preset]._replace(**{name: value for name, value in given.items() if value is not None})
        self.backbone = BACKBONES[backbone](in_channels=in_channels, drop_path=drop_path)
        self.decoder = ProgressiveDecoder(self.backbone.channels, *decoder, bases=bases)

    def forward(self, image: Tensor) -> SideOutputs:
        """Segment image, normalised by ``self.normalization``."""
        outputs: SideOutputs = self.decoder(self.backbone(image))
        return outputs
