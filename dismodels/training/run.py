"""A whole training run: its folder, its data, its stages in turn."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from torch import nn

from dismetrics.files import write_whole
from dismodels.training.draws import Pairs
from dismodels.training.journal import Journal
from dismodels.training.loop import Loop, Plan, Task
from dismodels.training.sets import Sets
from dismodels.training.settings import TrainSettings, differences, plain

SETTINGS = "settings.json"


class Trained(NamedTuple):
    """What a stage leaves: the name of its model, and the file of its best weights."""

    model: str
    weights: Path


@dataclass
class Run:
    """What every stage of a run needs.

    Attributes:
        settings: the run's options.
        sets: its data.
        journal: hears how it goes.
        accelerator: makes a fresh accelerator for a stage.
    """

    settings: TrainSettings
    sets: Sets
    journal: Journal
    accelerator: Callable[[], Accelerator]

    def train(self, task: Task, plan: Plan, validation: Pairs | None = None) -> Trained:
        """Train a stage to its end."""
        folder = self.settings.output / task.name
        if self.settings.sync_batch_norm:
            nn.SyncBatchNorm.convert_sync_batchnorm(task.model)  # type: ignore[no-untyped-call]
        judged_on = validation if validation is not None else self.sets.validation
        loop = Loop(task, plan, self.settings, self.sets.training, judged_on, folder, self.accelerator(), self.journal)
        standing = loop.run(self.settings.resume)
        self.journal.say(
            f"{task.name}: done after {standing.step} steps, best max F {standing.best_max_f:.4f}, "
            f"MAE {standing.best_mae:.4f}: {loop.saves.best}"
        )
        return Trained(task.model.architecture, loop.saves.best)


def check_output(system: str, settings: TrainSettings) -> None:
    """See that the run's folder is free, or holds the run to resume.

    Raises:
        FileExistsError: the folder holds a run, or something else, and the run is not resumed.
        FileNotFoundError: there is no run to resume.
        ValueError: the run to resume is another system's or has other settings.
    """
    output = settings.output
    if settings.resume:
        changed = differences(plain(settings), saved_run(system, output)["settings"])
        if changed:
            raise ValueError(f"{output}: --resume goes on with the run's settings; " + "; ".join(changed))
    elif output.exists() and not output.is_dir():
        raise FileExistsError(f"{output}: is a file; --output names a folder")
    elif output.exists() and any(output.iterdir()):
        raise FileExistsError(
            f"{output}: is not empty; --resume goes on with a run that is there, another --output starts one"
        )


def keep_settings(system: str, arguments: list[str], settings: TrainSettings) -> None:
    """Make the run's folder and keep there the command line, from which a resumed run gets its settings."""
    settings.output.mkdir(parents=True, exist_ok=True)
    content = {"system": system, "arguments": arguments, "settings": plain(settings)}
    write_whole(settings.output / SETTINGS, json.dumps(content, indent=2) + "\n")


def saved_run(system: str, output: Path) -> dict[str, Any]:
    """What :func:`keep_settings` kept of the run in output: system, arguments, settings.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: it is another system's, or its file is damaged.
    """
    path = output / SETTINGS
    if not path.is_file():
        raise FileNotFoundError(f"{output}: no run to resume here ({SETTINGS} is missing)")
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = content["system"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({error})") from error
    if found != system:
        raise ValueError(f"{output}: holds a run of {found}, not of {system}")
    return content


def accelerator_of(settings: TrainSettings) -> Callable[[], Accelerator]:
    """What makes the accelerators of a run's stages, all alike.

    Raises:
        ValueError: an option does not fit the processes or the device.
    """
    make = partial(
        Accelerator,
        mixed_precision=settings.mixed_precision,
        cpu=settings.device == "cpu" or not torch.accelerator.is_available(),
        dynamo_backend="inductor" if settings.compile else None,
    )
    first = make()
    if settings.batch_size % first.num_processes:
        raise ValueError(
            f"--batch-size {settings.batch_size} cannot be shared equally by {first.num_processes} processes"
        )
    if settings.sync_batch_norm and first.device.type != "cuda":
        raise ValueError("--sync-batch-norm needs GPUs; on CPUs take --freeze-batch-norm")
    return make
