"""The recipe of IS-Net: a GT encoder, then a segmentation network whose features it guides."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from accelerate.utils import set_seed
from torch import Tensor, nn

from dislosses import deep_supervision_loss, feature_sync_loss
from dismodels.checkpoints import load_model
from dismodels.registry import create_model
from dismodels.side_outputs import SideOutputModel
from dismodels.training.loop import Plan
from dismodels.training.optimizers import adam
from dismodels.training.run import Run, Trained
from dismodels.training.settings import TrainSettings


@dataclass(frozen=True)
class GTEncoderSettings:
    """The first stage: the encoder of ground truths."""

    weights: Path | None = None
    """Take this trained GT encoder and skip its training."""
    steps: int = 10_000
    """Optimiser steps at most (the paper needs about 1000)."""
    validate_every: int = 1000
    """Steps between validations."""
    stop_at: float = 0.99
    """Stop when the validation's max F is greater."""
    patience: int = 20
    """Stop after so many validations without gain."""
    seed: int | None = None
    """Of its initial weights, order and flips; default: --seed (the paper's table 3 tries 1, 58, 472, 5289)."""
    in_channels: Literal[1, 3] = 1
    """1: masks in [0, 1] (official code); 3: masks repeated and normalised to [-0.5, 0.5] (paper)."""
    validate_on: Literal["validation", "training"] = "validation"
    """Masks for its validation: the validation set's (paper) or the training set's (official code)."""
    statistics: Literal["batch", "running"] = "batch"
    """While it guides, normalise by the statistics of each batch of masks (official code) or by running ones."""

    def check(self) -> None:
        """Raise ValueError naming the option whose value cannot be used."""
        for name in ("steps", "validate_every", "patience"):
            if getattr(self, name) < 1:
                option = name.replace("_", "-")
                raise ValueError(f"--gt-encoder.{option} must be at least 1, got {getattr(self, name)}")
        if self.weights is not None and not self.weights.is_file():
            raise ValueError(f"--gt-encoder.weights {self.weights}: no such file")


@dataclass(frozen=True)
class ISNetSettings(TrainSettings):
    """Train IS-Net: first a GT encoder, then the segmentation network with intermediate supervision.

    Without --data it trains a small network on the built-in synthetic set, in minutes on two CPU cores. The defaults
    shown are the paper's, which a data set brings: --data DIS5K.
    """

    supervision: Literal["l2", "l1", "kl", "none"] = "l2"
    """How features follow the GT encoder's; none: plain dense supervision ("Adp" in the paper's table 3)."""
    supervised_stages: int = 6
    """Guide the last so many decoder stages ("Last-S" in table 3), counted from the finest."""
    shared_side_convolutions: bool = False
    """Use the GT encoder's side convolutions, frozen ("shared outconv" in table 3)."""
    gt_encoder: GTEncoderSettings = field(default_factory=GTEncoderSettings)

    def check(self) -> None:
        """Raise ValueError naming the option whose value cannot be used."""
        super().check()
        self.gt_encoder.check()
        if not 1 <= self.supervised_stages <= 6:
            raise ValueError(f"--supervised-stages must be in [1, 6], got {self.supervised_stages}")
        if self.supervision == "none" and self.shared_side_convolutions:
            raise ValueError("--shared-side-convolutions needs a GT encoder; --supervision none has none")

    def small(self) -> ISNetSettings:
        """These settings with the small preset's values in place of the paper's."""
        settings = super().small()
        assert isinstance(settings, ISNetSettings)
        return replace(settings, gt_encoder=replace(self.gt_encoder, steps=200, validate_every=50))


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


def train_isnet(run: Run) -> Trained:
    """IS-Net's two stages."""
    settings = run.settings
    assert isinstance(settings, ISNetSettings)
    guide = None if settings.supervision == "none" else _guide(run, settings)
    set_seed(settings.seed)
    model = create_model("isnet", width=settings.width)
    assert isinstance(model, SideOutputModel)
    if guide is not None and settings.shared_side_convolutions:
        share_side_convolutions(model, guide)
    batch_statistics = settings.gt_encoder.statistics == "batch" and not settings.freeze_batch_norm
    task = SegmentationTask(model, guide, settings.supervision, settings.supervised_stages, batch_statistics)
    optimizer = partial(adam, learning_rate=settings.learning_rate)
    plan = Plan(settings.steps, settings.validate_every, settings.seed, optimizer, patience=settings.patience)
    return run.train(task, plan)


def _guide(run: Run, settings: ISNetSettings) -> SideOutputModel:
    chosen = settings.gt_encoder
    weights = chosen.weights or _train_guide(run, settings, chosen).weights
    guide = load_model("isnet_gt_encoder", weights)
    assert isinstance(guide, SideOutputModel)
    width = guide.options.get("width", 1.0)
    if width != settings.width:
        raise ValueError(f"--gt-encoder.weights {weights}: has width {width}, --width is {settings.width}")
    return guide.to(run.accelerator().device)


def _train_guide(run: Run, settings: ISNetSettings, chosen: GTEncoderSettings) -> Trained:
    seed = settings.seed if chosen.seed is None else chosen.seed
    set_seed(seed)
    model = create_model("isnet_gt_encoder", width=settings.width, in_channels=chosen.in_channels)
    assert isinstance(model, SideOutputModel)
    task = GTEncoderTask(model)
    optimizer = partial(adam, learning_rate=settings.learning_rate)
    plan = Plan(chosen.steps, chosen.validate_every, seed, optimizer, patience=chosen.patience, stop_at=chosen.stop_at)
    return run.train(task, plan, run.sets.training if chosen.validate_on == "training" else None)
