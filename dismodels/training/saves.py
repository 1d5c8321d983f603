"""Saved states of a training stage: each a folder that is there whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from safetensors import SafetensorError

from dismodels.checkpoints import load_checkpoint, save_checkpoint
from dismodels.side_outputs import SideOutputModel

WEIGHTS = "weights.safetensors"


class TrainingError(RuntimeError):
    """A run that cannot go on; the message says why and what is left of it."""


class Saves:
    """The best weights and the latest whole state of one stage.

    ``best.safetensors`` holds the weights that validated best. ``step-00001000`` holds the weights and, beside them,
    optimiser, random generators, and how far the run was (which is all the state its sampler has).

    Args:
        folder: where they lie; created if missing.
        accelerator: holds the prepared optimiser.
        model: whose weights are kept; the model itself, not what wraps it for processes or compilation.
        input_size: kept with the weights, see :func:`dismodels.save_checkpoint`.
    """

    def __init__(self, folder: Path, accelerator: Accelerator, model: SideOutputModel, input_size: int) -> None:
        self.folder, self.accelerator, self.model, self.input_size = folder, accelerator, model, input_size
        self.best = folder / "best.safetensors"
        folder.mkdir(parents=True, exist_ok=True)
        accelerator.register_save_state_pre_hook(self._write_weights)
        accelerator.register_load_state_pre_hook(self._read_weights)

    def latest(self) -> Path | None:
        """The latest whole state, or None."""
        states = sorted(path for path in self.folder.glob("step-*") if path.suffix != ".partial")
        return states[-1] if states else None

    def resume(self) -> None:
        """Take up the latest state if there is one."""
        latest = self.latest()
        if latest is not None:
            self.accelerator.load_state(str(latest))

    def save(self, step: int) -> None:
        """Keep the state after step and drop those before.

        Raises:
            TrainingError: it could not be written; the state before is still there.
        """
        before, whole = self.latest(), self.folder / f"step-{step:08d}"
        partial = whole.with_suffix(".partial")
        try:
            self.accelerator.save_state(str(partial), safe_serialization=True)
            self.accelerator.wait_for_everyone()
            if self.accelerator.is_main_process:
                partial.rename(whole)
        except (OSError, RuntimeError, SafetensorError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            left = f"the state before it, {before}, is whole" if before else "there is none before it"
            raise TrainingError(f"{whole}: the state could not be written ({_first_line(error)}); {left}") from error
        if self.accelerator.is_main_process:
            for other in set(self.folder.glob("step-*")) - {whole}:
                shutil.rmtree(other, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def save_best(self) -> None:
        """Keep the present weights as the best; raises TrainingError if they could not be written."""
        if not self.accelerator.is_main_process:
            return
        try:
            save_checkpoint(self.model, self.best, self.input_size)
        except OSError as error:
            raise TrainingError(_first_line(error)) from error

    def _write_weights(self, models: list[Any], weights: list[Any], folder: str) -> None:
        if self.accelerator.is_main_process:
            save_checkpoint(self.model, Path(folder) / WEIGHTS, self.input_size)
        weights.clear()

    def _read_weights(self, models: list[Any], folder: str) -> None:
        load_checkpoint(self.model, Path(folder) / WEIGHTS)
        models.clear()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
