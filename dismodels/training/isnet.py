"""The recipe of IS-Net: a GT encoder, then a segmentation network whose features it guides. And U²-Net's."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from dislosses import deep_supervision_loss, feature_sync_loss
from dismodels.side_outputs import SideOutputModel

Supervision = Literal["l2", "l1", "kl", "none"]


class GTEncoderTask:
    """Stage one: the GT encoder learns to give back masks from each of its features.

    Args:
        model: the GT encoder; one with a single input channel takes masks in [0, 1] (official code), one with more
            takes them repeated and normalised to [-0.5, 0.5] (paper).
    """

    name = "gt_encoder"

    def __init__(self, model: SideOutputModel) -> None:
        self.model = model

    def inputs(self, image: Tensor, mask: Tensor) -> Tensor:
        """The masks as the GT encoder takes them."""
        return encoder_inputs(self.model, mask.float() / 255)

    def losses(self, model: nn.Module, inputs: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Binary cross entropy of the six side outputs."""
        return {"bce": deep_supervision_loss(model(inputs).logits, mask)}


class SegmentationTask:
    """Stage two: segmentation with dense supervision and, given a guide, feature synchronisation.

    Args:
        model: the network that segments.
        guide: the trained GT encoder, or None for dense supervision alone.
        distance: how features are compared, see :func:`dislosses.feature_sync_loss`.
        stages: how many of the last decoder stages are guided ("Last-S" in the paper's table 3); the last is the
            finest.
        batch_statistics: whether the guide normalises by the statistics of each batch of masks (official code) or by
            its running ones.
    """

    name = "segmentation"

    def __init__(
        self,
        model: SideOutputModel,
        guide: SideOutputModel | None = None,
        distance: str = "l2",
        stages: int = 6,
        batch_statistics: bool = True,
    ) -> None:
        self.model, self.guide, self.distance, self.stages = model, guide, distance, stages
        if guide is not None:
            guide.requires_grad_(False).train(batch_statistics)

    def inputs(self, image: Tensor, mask: Tensor) -> Tensor:
        """The images, normalised as the model wants them."""
        return self.model.normalization(image)

    def losses(self, model: nn.Module, inputs: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Binary cross entropy of the side outputs, that of the finest named apart, and feature synchronisation."""
        outputs = model(inputs)
        side_losses = deep_supervision_loss(outputs.logits, mask, reduction="none")
        terms = {"bce_finest": side_losses[0], "bce_others": side_losses[1:].sum()}
        if self.guide is not None:
            with torch.no_grad():
                guides = self.guide(encoder_inputs(self.guide, mask)).features
            pairs = outputs.features[: self.stages], guides[: self.stages]
            terms["feature_sync"] = feature_sync_loss(*pairs, distance=self.distance)
        return terms


def encoder_inputs(encoder: SideOutputModel, mask: Tensor) -> Tensor:
    """Masks, float (B, 1, S, S) in [0, 1], as this GT encoder takes them."""
    if encoder.in_channels == 1:
        return mask
    return mask.expand(-1, encoder.in_channels, -1, -1) - 0.5


def share_side_convolutions(model: SideOutputModel, guide: SideOutputModel) -> None:
    """Give model the guide's trained side convolutions, frozen ("shared outconv" in the paper's table 3)."""
    model.get_submodule("sides").load_state_dict(guide.get_submodule("sides").state_dict())
    model.get_submodule("sides").requires_grad_(False)
