"""The compiled extension ``dislayers._C``, or the reason why it is not there."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from dislayers._runtime.backend import Implementation

_RECORD = Path(__file__).parent.parent / "_C.json"


def _build_record() -> dict[str, str]:
    """What setup.py built for each device: "built", or why not."""
    if not _RECORD.exists():
        return dict.fromkeys(("cpu", "cuda"), "dislayers was not installed (no build record)")
    record: dict[str, str] = json.loads(_RECORD.read_text())
    return record


def _load() -> tuple[ModuleType | None, dict[str, str]]:
    record = _build_record()
    if os.environ.get("DISLAYERS_NATIVE") == "off":
        return None, dict.fromkeys(record, "DISLAYERS_NATIVE=off")
    if record["cpu"] != "built":
        return None, {device: f"not built: {why}" for device, why in record.items()}
    try:
        module = importlib.import_module("dislayers._C")
    except ImportError as error:
        return None, dict.fromkeys(record, f"dislayers._C does not load: {error}")
    return module, {device: "" if why == "built" else f"not built: {why}" for device, why in record.items()}


extension, _missing = _load()
"""The module, or None."""

best_instruction_set = len(extension.instruction_sets()) - 1 if extension else 0
"""What kernels for the CPU are told to use: the place of this processor's best in ``extension.instruction_sets()``."""


def workers() -> tuple[int, int]:
    """What a kernel for the CPU takes last: how many threads, and which instruction set."""
    return torch.get_num_threads(), best_instruction_set


def missing(device: str) -> str:
    """Why no compiled kernel for "cpu" or "cuda" can run, "" if they can."""
    return _missing[device]


def missing_kernel(name: str) -> Callable[[str], str]:
    """The same for one kernel, ``<name>_<device>`` in the extension."""

    def why(device: str) -> str:
        if missing(device) or hasattr(extension, f"{name}_{device}"):
            return missing(device)
        return f"this build has no {name}_{device}"

    return why


def for_cpu(name: str, run: Callable[..., Any]) -> Implementation:
    """A compiled kernel for the CPU, ``<name>_cpu``, which is given copies of tensors that lie on a GPU."""

    def run_on_cpu(*args: Any) -> Any:
        device = next(x.device for x in args if isinstance(x, Tensor))
        if device.type == "cpu":
            return run(*args)
        outputs = run(*(x.cpu() if isinstance(x, Tensor) else x for x in args))
        return tree_map(lambda x: x.to(device), outputs)

    return Implementation("native", run_on_cpu, lambda device: missing_kernel(name)("cpu"))
