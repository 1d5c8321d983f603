"""The recipe of the one-stage progressive network: SegNeXt's optimiser, a loss on each level's map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.optim import Optimizer

from dislosses import deep_supervision_loss
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

    def check(self) -> None:
        """Raise ValueError naming the option whose value cannot be used."""
        super().check()
        if self.warm_up < 0:
            raise ValueError(f"--warm-up must be at least 0, got {self.warm_up}")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"--weight-decay must be at least 0, got {self.weight_decay}")
        if self.backbone_weights is not None and not self.backbone_weights.is_file():
            raise ValueError(f"--backbone-weights {self.backbone_weights}: no such file")

    def small(self) -> ProgressiveSettings:
        """These settings with the small preset's values in place of the paper's."""
        settings = super().small()
        assert isinstance(settings, ProgressiveSettings)
        return replace(settings, backbone="tiny", width=1 / 6, learning_rate=5e-4, warm_up=50, steps=400)


class ProgressiveTask:
    """Segmentation supervised on maps of one or several scales, all at the image's size.

    Args:
        model: the network that segments.
        supervision: "multi-scale", or "single-scale" for the finest map alone.
    """

    name = "segmentation"

    def __init__(self, model: SideOutputModel, supervision: str = "multi-scale") -> None:
        self.model, self.supervision = model, supervision

    def inputs(self, image: Tensor, mask: Tensor) -> Tensor:
        """The images, normalised as the model wants them."""
        return self.model.normalization(image)

    def losses(self, model: nn.Module, inputs: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Binary cross entropy of the maps, that of the finest named apart."""
        logits = model(inputs).logits
        if self.supervision == "single-scale":
            logits = logits[:1]
        losses = deep_supervision_loss(logits, mask, reduction="none")
        terms = {"bce_finest": losses[0]}
        return terms if len(logits) == 1 else {**terms, "bce_others": losses[1:].sum()}


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
    return run.train(ProgressiveTask(model, settings.supervision), plan)


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
