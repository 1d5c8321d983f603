"""Weights to and from files: our safetensors, and official checkpoints recognised by their keys."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from dismetrics.files import shortened, written_whole
from dismodels.model import Model
from dismodels.registry import create_model

# Files of other people wrap the weights in one of these, and DataParallel puts "module." before every key.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
# The one entry of our files' metadata; more would come in random order and make equal weights unequal files.
_ORIGIN = "dismodels"


class CheckpointError(ValueError):
    """A file or state dict that does not fit; the message names it and says what differs."""


def save_checkpoint(model: Model, path: Path, input_size: int | None = None) -> None:
    """Write the model's weights, name and options to a safetensors file, whole or not at all.

    Args:
        model: a model of :func:`dismodels.create_model`.
        path: the file; an existing one is replaced at the last moment.
        input_size: side in pixels of the square training images, which prediction then takes as its default.

    Raises:
        OSError: the file could not be written; nothing is left beside it.
    """
    origin = {"architecture": model.architecture, "options": model.options, "input_size": input_size}
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    try:
        with written_whole(path) as beside:
            # Not save_file, which makes files that only their owner can read.
            beside.write_bytes(save(tensors, {_ORIGIN: json.dumps(origin)}))
    except OSError as error:
        raise OSError(f"the weights could not be written: {error}") from error


def load_model(system: str, path: Path) -> Model:
    """The model that a file holds, in evaluation mode on the CPU.

    Args:
        system: the name of the architecture, such as "isnet".
        path: a file of :func:`save_checkpoint` (whose options it is built with), or official weights (built with the
            architecture's defaults).

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is no checkpoint, holds another architecture, or does not fit.
    """
    origin, state = _read(path)
    _check_architecture(system, origin, path)
    model = create_model(system, **origin.get("options", {}))
    model.input_size = origin.get("input_size")
    _load(model, state, path)
    return model.eval()


def load_checkpoint(model: Model, path: Path | str) -> None:
    """Load a file's weights into model: our safetensors or an official ``.pth``, recognised by its keys; strict.

    Args:
        model: the model, changed in place; left as it was if anything does not fit.
        path: the file. Pickled files are read with ``weights_only=True``.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is no checkpoint, holds another architecture, or does not fit; the message lists
            missing and unexpected entries and different shapes.
    """
    path = Path(path)
    origin, state = _read(path)
    _check_architecture(model.architecture, origin, path)
    _load(model, state, path)


def load_official_state_dict(model: Model, state_dict: Mapping[str, Tensor]) -> None:
    """Load the state dict of the official implementation into model, strictly.

    Args:
        model: the model, changed in place; left as it was if anything does not fit.
        state_dict: official entries, with or without the "module." that DataParallel puts before them.

    Raises:
        CheckpointError: entries are missing, unexpected or of another shape.
    """
    _load_strictly(model, _official_entries(model, state_dict), "the official state dict")


def _read(path: Path) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            origin = json.loads((file.metadata() or {}).get(_ORIGIN, "{}"))
            return origin, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError) as error:
        if path.suffix == ".safetensors":
            raise CheckpointError(f"{path}: damaged, or no safetensors file ({error})") from error
        return {}, _read_pickled(path)


def _read_pickled(path: Path) -> Mapping[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    # What PyTorch says advises to load it unsafely; the reader of our message shall not.
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: damaged, or neither safetensors nor a PyTorch file of plain weights") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path}: holds {type(content).__name__}, expected a state dict of tensors")
    return content


def _check_architecture(expected: str, origin: Mapping[str, Any], path: Path) -> None:
    found = origin.get("architecture", expected)
    if found != expected:
        raise CheckpointError(f"{path}: holds weights of {found}, expected {expected}")


def _load(model: Model, state: Mapping[str, Tensor], path: Path) -> None:
    own, official = model.state_dict().keys(), _official_entries(model, state)
    # Some entries have one name in both, so the larger part decides.
    recognised = official if len(official.keys() & own) > len(state.keys() & own) else state
    _load_strictly(model, recognised, str(path))


def _official_entries(model: Model, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = ((model.official_name(key.removeprefix("module.")), value) for key, value in state.items())
    return {name: value for name, value in names if name}


def _load_strictly(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    own = model.state_dict()
    shapes = [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    differences = {
        "missing": [key for key in own if key not in state],
        "unexpected": [key for key in state if key not in own],
        "of another shape (other width or in_channels?)": shapes,
    }
    report = [f"{len(keys)} {what}: {shortened(keys, at_most=5)}" for what, keys in differences.items() if keys]
    if report:
        raise CheckpointError(f"{source} does not fit {type(model).__name__}: " + "; ".join(report))
    model.load_state_dict(dict(state))
