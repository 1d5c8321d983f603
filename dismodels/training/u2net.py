"""The recipe of U²-Net: dense supervision of its side outputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from accelerate.utils import set_seed

from dismodels.registry import create_model
from dismodels.side_outputs import SideOutputModel
from dismodels.training.isnet import SegmentationTask
from dismodels.training.loop import Plan
from dismodels.training.optimizers import adam
from dismodels.training.run import Run, Trained
from dismodels.training.settings import TrainSettings


@dataclass(frozen=True)
class U2NetSettings(TrainSettings):
    """Train U²-Net with dense supervision."""

    output: Path = Path("runs/u2net")
    """Folder of the run: weights, saved states, log.jsonl, TensorBoard, pictures."""
    size: int = 320
    """Side of the square that images are resized to, in pixels."""
    variant: Literal["u2net", "u2net_small"] = "u2net"
    """The full network (44.0 M parameters) or the small one (1.1 M)."""


def train_u2net(run: Run) -> Trained:
    """U²-Net's one stage."""
    settings = run.settings
    assert isinstance(settings, U2NetSettings)
    set_seed(settings.seed)
    model = create_model(settings.variant, width=settings.width)
    assert isinstance(model, SideOutputModel)
    optimizer = partial(adam, learning_rate=settings.learning_rate)
    plan = Plan(settings.steps, settings.validate_every, settings.seed, optimizer, patience=settings.patience)
    return run.train(SegmentationTask(model), plan)
