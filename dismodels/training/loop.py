"""The loop that trains one model: steps, validations, saves, and the way back after an interruption."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from dismetrics import Evaluator
from dismodels.layout import choose_layout
from dismodels.side_outputs import SideOutputModel
from dismodels.training.draws import BatchSampler, DrawnPairs, Pairs
from dismodels.training.journal import Journal
from dismodels.training.optimizers import Schedule, constant
from dismodels.training.saves import Saves, TrainingError
from dismodels.training.settings import TrainSettings
from dismodels.training.strip import picture_strip

STRIP_LENGTH = 6


class Task(Protocol):
    """What one stage of a recipe trains, and how its model meets the data."""

    name: str
    model: SideOutputModel

    def inputs(self, image: Tensor, mask: Tensor) -> Tensor:
        """What the model takes, from uint8 images (B, 3, S, S) and uint8 masks (B, 1, S, S)."""
        ...

    def losses(self, model: nn.Module, inputs: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Loss terms by name, whose sum is minimised; mask is float (B, 1, S, S) in [0, 1]."""
        ...


@dataclass(frozen=True)
class Plan:
    """How one stage trains, and how long.

    Attributes:
        steps: optimiser steps at most.
        validate_every: steps between validations (with a save after each).
        seed: of order and flips.
        optimizer: makes what moves the parameters of a model.
        schedule: the factor of the optimiser's learning rates at each step.
        patience: stop after so many validations without gain; None: never.
        stop_at: stop when the validation's max F exceeds it; None: never.
    """

    steps: int
    validate_every: int
    seed: int
    optimizer: Callable[[nn.Module], Optimizer]
    schedule: Schedule = constant
    patience: int | None = None
    stop_at: float | None = None


@dataclass
class Standing:
    """How far a stage is; kept with its saved states."""

    step: int = 0
    best_max_f: float = -1.0
    best_mae: float = math.inf
    without_gain: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Its numbers, to be saved."""
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up saved numbers."""
        vars(self).update(state)

    def judge(self, max_f: float, mae: float) -> bool:
        """Enter a validation; whether it is the best so far (higher max F; lower MAE at equal max F)."""
        gain = (max_f, -mae) > (self.best_max_f, -self.best_mae)
        self.without_gain = 0 if gain else self.without_gain + 1
        if gain:
            self.best_max_f, self.best_mae = max_f, mae
        return gain


class Loop:
    """Trains a task's model on pairs and leaves its best weights in ``folder/best.safetensors``.

    Args:
        task: what is trained.
        plan: how long.
        settings: the run's settings.
        training: pairs to learn from.
        validation: pairs to be judged on.
        folder: place of this stage's saves.
        accelerator: a fresh one: device, precision and processes.
        journal: hears how it goes.
    """

    def __init__(
        self,
        task: Task,
        plan: Plan,
        settings: TrainSettings,
        training: Pairs,
        validation: Pairs,
        folder: Path,
        accelerator: Accelerator,
        journal: Journal,
    ) -> None:
        self.task, self.plan, self.settings = task, plan, settings
        self.training, self.validation = training, validation
        self.accelerator, self.journal = accelerator, journal
        choose_layout(task.model, accelerator.device)
        optimizer = plan.optimizer(task.model)
        self.schedule = LambdaLR(optimizer, plan.schedule)
        self.model, self.optimizer = accelerator.prepare(task.model, optimizer)
        accelerator.register_for_checkpointing(self.schedule)
        self.standing = Standing()
        accelerator.register_for_checkpointing(self.standing)
        self.saves = Saves(folder, accelerator, task.model, settings.size)
        self.terms: list[str] = []
        self.sums: Tensor | None = None
        self.summed = 0

    def run(self, resume: bool) -> Standing:
        """Train to the end, from the latest saved state if resume; how it stands then.

        Raises:
            TrainingError: the loss is not finite, or a state could not be written.
        """
        if resume:
            self.saves.resume()
        with self.journal.stage(self.task.name, self.standing.step, self.plan.steps):
            if self.standing.step == 0:
                self._validate()
            if not self._finished():
                self._train()
        return self.standing

    def _train(self) -> None:
        plan, standing = self.plan, self.standing
        self._training_mode()
        for image, mask in self._batches():
            self._step(image, mask)
            standing.step += 1
            self.journal.advance(standing.step)
            validating = standing.step == plan.steps or standing.step % plan.validate_every == 0
            if validating or standing.step % self.settings.log_every == 0:
                self._log()
            if validating:
                self._validate()
                self.saves.save(standing.step)
                if self._finished():
                    return
                self._training_mode()

    def _batches(self) -> DataLoader[tuple[Tensor, Tensor]]:
        sampler = BatchSampler(
            len(self.training),
            self.settings.batch_size,
            self.standing.step,
            self.plan.steps,
            self.plan.seed,
            self.settings.flip,
            self.accelerator.process_index,
            self.accelerator.num_processes,
        )
        return DataLoader(
            DrawnPairs(self.training),
            batch_sampler=sampler,
            num_workers=self.settings.workers,
            pin_memory=self.accelerator.device.type == "cuda",
        )

    def _step(self, image: Tensor, mask: Tensor) -> None:
        image, mask = self._moved(image), self._moved(mask)
        with self.accelerator.autocast():
            terms = self.task.losses(self.model, self.task.inputs(image, mask), mask.float() / 255)
        values = torch.stack(list(terms.values()))
        loss = values.sum()
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        # Summed on the device: nothing here waits for it.
        told = torch.cat((loss.reshape(1), values)).detach()
        self.sums = told if self.sums is None else self.sums + told
        self.terms = ["loss", *terms]
        self.summed += 1

    def _training_mode(self) -> None:
        self.model.train()
        if self.settings.freeze_batch_norm:
            freeze_batch_norm(self.model)

    def _moved(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.accelerator.device, non_blocking=True)

    def _log(self) -> None:
        """Log the means since the last time; a single NaN since then shows in them."""
        if self.sums is None:
            return
        means = self.accelerator.reduce(self.sums / self.summed, "mean")
        values = dict(zip(self.terms, means.tolist(), strict=True))
        self.sums, self.summed = None, 0
        if not all(math.isfinite(value) for value in values.values()):
            terms = ", ".join(f"{name} {value}" for name, value in values.items())
            raise self._not_finite(f"the loss is not finite ({terms})")
        self.journal.scalars(self.task.name, self.standing.step, values)
        self.journal.show(values)

    def _not_finite(self, what: str) -> TrainingError:
        left = self.saves.latest()
        return TrainingError(
            f"{self.task.name}: at or shortly before step {self.standing.step} {what}; nothing of it was saved; "
            f"{f'the latest good state is {left}' if left else 'no state was saved yet'}; "
            "a lower --learning-rate or --mixed-precision no may help"
        )

    def _finished(self) -> bool:
        plan, standing = self.plan, self.standing
        reached = plan.stop_at is not None and standing.best_max_f > plan.stop_at
        given_up = plan.patience is not None and standing.without_gain >= plan.patience
        return standing.step >= plan.steps or reached or given_up

    @torch.no_grad()
    def _validate(self) -> None:
        model = self.task.model.eval()
        evaluator = Evaluator(metrics=("f_measure", "mean_absolute_error"))
        pictures: list[tuple[Tensor, Tensor, Tensor]] = []
        mine = range(self.accelerator.process_index, len(self.validation), self.accelerator.num_processes)
        for start in range(0, len(mine), self.settings.batch_size):
            batch = [self.validation[index] for index in mine[start : start + self.settings.batch_size]]
            image, mask = (torch.stack(parts) for parts in zip(*batch, strict=True))
            with self.accelerator.autocast():
                predicted = model.predict(self.task.inputs(self._moved(image), self._moved(mask))).float().cpu()
            if not predicted.isfinite().all():
                raise self._not_finite("the model's answer is not finite")
            evaluator.update(predicted[:, 0].numpy(), mask[:, 0].numpy())
            pictures += zip(image, mask, predicted, strict=True)
            del pictures[STRIP_LENGTH:]
        first, *others = gather_object([evaluator])
        for other in others:
            first.merge(other)
        self._judge(first, pictures)

    def _judge(self, evaluator: Evaluator, pictures: list[tuple[Tensor, Tensor, Tensor]]) -> None:
        values = evaluator.compute()
        max_f, mae = float(values["max_f"]), float(values["mae"])
        name, step = self.task.name, self.standing.step
        best = self.standing.judge(max_f, mae)
        self.journal.scalars(name, step, {"max_f": max_f, "mae": mae})
        if self.accelerator.is_main_process:
            self.journal.strip(name, step, picture_strip(pictures))
        self.journal.say(f"{name}: step {step}, max F {max_f:.4f}, MAE {mae:.4f}{', best so far' if best else ''}")
        if best:
            self.saves.save_best()


def freeze_batch_norm(model: nn.Module) -> None:
    """Let every batch normalisation of model use its running statistics and leave them as they are."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
