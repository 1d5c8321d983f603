"""The recipe of the one-stage progressive network: SegNeXt's optimiser, a loss on each level's map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.optim import Optimizer

from dislosses import BCEIoULoss, BCELoss, deep_supervision_loss
from dismodels.checkpoints import load_checkpoint
from dismodels.progressive import PRESETS
from dismodels.registry import create_model
from dismodels.side_outputs import SideOutputModel
from dismodels.training.loop import Plan
from dismodels.training.optimizers import adamw, poly
from dismodels.training.run import Run, Trained
from dismodels.training.settings import TrainSettings


@dataclass(frozen=True)
class ProgressiveSettings(TrainSettings):
    """Train the one-stage progressive network, or the single head of its ablation.

    Without --data it trains a small network on the built-in synthetic set, in minutes on two CPU cores. The defaults
    shown are the paper's and SegNeXt's, which a data set brings: --data DIS5K.
    """

    output: Path = Path("runs/progressive")
    """Folder of the run: weights, saved states, log.jsonl, TensorBoard, pictures."""
    width: float = 1.0
    """Multiplies the channel counts of the decoder, which stay multiples of 32."""
    learning_rate: float = 6e-5
    """AdamW's in the backbone; the decoder learns ten times as fast."""
    weight_decay: float = 0.01
    """AdamW's, of all but normalisations."""
    warm_up: int = 1500
    """Steps on which learning rates rise, before they fall to 0 in a straight line."""
    decoder: Literal["A", "B", "C", "D", "E", "single"] = "A"
    """A preset of the progressive decoder, or SegNeXt's single head."""
    backbone: Literal["tiny", "small", "base", "large"] = "base"
    """Size of the MSCAN."""
    backbone_weights: Path | None = None
    """A checkpoint of the MSCAN to begin with, such as the official ones of ImageNet; default: random weights."""
    supervision: Literal["multi-scale", "single-scale"] = "multi-scale"
    """A loss on each level's map, or on the finest alone."""
    iou_weight: float = 0.0
    """Adds so many times the soft IoU loss to the cross entropy."""
    resized: Literal["maps", "masks"] = "maps"
    """What is resized for the losses: maps up to the masks, bilinearly, or masks down to each map, by area."""

    def check(self) -> None:
        """Raise ValueError naming the option whose value cannot be used."""
        super().check()
        if self.warm_up < 0:
            raise ValueError(f"--warm-up must be at least 0, got {self.warm_up}")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"--weight-decay must be at least 0, got {self.weight_decay}")
        if not 0 <= self.iou_weight < float("inf"):
            raise ValueError(f"--iou-weight must be at least 0, got {self.iou_weight}")
        if self.backbone_weights is not None and not self.backbone_weights.is_file():
            raise ValueError(f"--backbone-weights {self.backbone_weights}: no such file")

    def small(self) -> ProgressiveSettings:
        """These settings with the small preset's values in place of the paper's."""
        settings = super().small()
        assert isinstance(settings, ProgressiveSettings)
        return replace(settings, backbone="tiny", width=1 / 6, learning_rate=4e-3, warm_up=50, steps=1000)


class ProgressiveTask:
    """Segmentation supervised on maps of one or several scales.

    Args:
        model: the network that segments.
        supervision: "multi-scale", or "single-scale" for the finest map alone.
        iou_weight: of the soft IoU loss beside the cross entropy.
        resized: "maps", each to the masks' size, or "masks", to each map's.
    """

    name = "segmentation"

    def __init__(
        self,
        model: SideOutputModel,
        supervision: str = "multi-scale",
        iou_weight: float = 0.0,
        resized: str = "maps",
    ) -> None:
        self.model, self.supervision, self.resized = model, supervision, resized
        self.term = "bce_iou" if iou_weight else "bce"
        self.loss: Callable[[Tensor, Tensor], Tensor] = BCEIoULoss(1.0, iou_weight) if iou_weight else BCELoss()

    def inputs(self, image: Tensor, mask: Tensor) -> Tensor:
        """The images, normalised as the model wants them."""
        return self.model.normalization(image)

    def losses(self, model: nn.Module, inputs: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """The loss of the finest map, and that of the others together."""
        maps = model(inputs).logits
        if self.supervision == "single-scale":
            maps = maps[:1]
        if self.resized == "maps":
            losses = deep_supervision_loss(maps, mask, self.loss, reduction="none")
        else:
            losses = torch.stack([self._loss_at_its_size(logits, mask) for logits in maps])
        terms = {f"{self.term}_finest": losses[0]}
        return terms if len(maps) == 1 else {**terms, f"{self.term}_others": losses[1:].sum()}

    def _loss_at_its_size(self, logits: Tensor, mask: Tensor) -> Tensor:
        return self.loss(logits, interpolate(mask, logits.shape[-2:], mode="area"))


def train_progressive(run: Run) -> Trained:
    """The progressive network's one stage."""
    settings = run.settings
    assert isinstance(settings, ProgressiveSettings)
    set_seed(settings.seed)
    model = _model(settings)
    if settings.backbone_weights is not None:
        load_checkpoint(model.get_submodule("backbone"), settings.backbone_weights)  # type: ignore[arg-type]
    plan = Plan(
        settings.steps,
        settings.validate_every,
        settings.seed,
        partial(_optimizer, settings=settings),
        poly(settings.steps, settings.warm_up),
        settings.patience,
    )
    task = ProgressiveTask(model, settings.supervision, settings.iou_weight, settings.resized)
    return run.train(task, plan)


def _optimizer(model: nn.Module, settings: ProgressiveSettings) -> Optimizer:
    (decoder,) = (child for name, child in model.named_children() if name != "backbone")
    return adamw(model, settings.learning_rate, settings.weight_decay, decoder, times=10)


def _model(settings: ProgressiveSettings) -> SideOutputModel:
    if settings.decoder == "single":
        model = create_model(f"segnext_{settings.backbone}")
    else:
        widths = [max(round(width * settings.width / 32), 1) * 32 for width in PRESETS[settings.decoder].widths]
        model = create_model("progressive", preset=settings.decoder, backbone=settings.backbone, widths=widths)
    assert isinstance(model, SideOutputModel)
    return model
