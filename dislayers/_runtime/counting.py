"""What ``torch.utils.flop_counter`` finds in our ops, into which it cannot look.

It is told when somebody imports it: importing it brings Triton, and takes three times as long as all of dislayers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._pytree import tree_map_only

_COUNTER = "torch.utils.flop_counter"

_formulas: dict[Any, Callable[..., Any]] = {}


def count_as(packet: Any, formula: Callable[..., Any]) -> None:
    """Have the counter count an op, ``torch.ops.package.op``, as a formula in plain PyTorch of the same arguments."""
    if _COUNTER in sys.modules:
        _tell(packet, formula)
    else:
        _formulas[packet] = formula


class _Announced(MetaPathFinder):
    """Finds the counter as Python does, and has it told of all formulas once it is loaded."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == _COUNTER else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_tell(module: ModuleType) -> None:
            load(module)
            sys.meta_path.remove(self)
            for packet, formula in _formulas.items():
                _tell(packet, formula)

        spec.loader.exec_module = load_and_tell  # type: ignore[method-assign]
        return spec


if _COUNTER not in sys.modules:
    sys.meta_path.insert(0, _Announced())


def _tell(packet: Any, formula: Callable[..., Any]) -> None:
    from torch.utils.flop_counter import register_flop_formula

    register_flop_formula(packet, get_raw=True)(partial(_flops, formula))


def _flops(formula: Callable[..., Any], *args: Any, out_val: Any = None) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    def without_data(x: Tensor) -> Tensor:
        return torch.empty_strided(x.shape, x.stride())  # of one dtype: formulas do not mix them as ops do

    with FakeTensorMode(), FlopCounterMode(display=False) as counter:
        formula(*tree_map_only(Tensor, without_data, args))
    return int(counter.get_total_flops())
