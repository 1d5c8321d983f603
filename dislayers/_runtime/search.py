"""The search for the fastest rows of launch tables; ``tuning.py`` of an op says what to time and which rows to try."""

from __future__ import annotations

import json
import math
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch

from dislayers._runtime.launch import ENDLESS, Rows, architecture, tables

BLOCKS = tuple(product((1024, 2048, 4096, 8192, 16384, 32768), (1, 4, 8)))
SIDES = (512, 1024, 2048)


class Tuning(NamedTuple):
    """How a launch table is filled.

    Args:
        step: (size, device) to what is timed, usually forward and backward.
        elements: what the kernel looks its row up by, from the size.
        candidates: rows to try, as the fields of a row; by default elements and warps of ``Blocks``.
        sizes: one of each size class, ascending.
    """

    step: Callable[[int, torch.device], Callable[[], object]]
    elements: Callable[[int], int] = lambda side: side * side
    candidates: Sequence[tuple[int, ...]] = BLOCKS
    sizes: Sequence[int] = SIDES


def find_tunings(packages: Iterable[str]) -> dict[str, Mapping[str, Tuning]]:
    """``TUNING`` of ``tuning.py`` of all ops, by "package.op": the name of a table to how it is filled."""
    ops = (
        f"{package}.{module.name}"
        for package in packages
        for module in pkgutil.iter_modules(import_module(package).__path__)
        if module.ispkg
    )
    return {op: import_module(f"{op}.tuning").TUNING for op in ops if find_spec(f"{op}.tuning")}


def table_of(op: str, name: str) -> dict[str, Rows[Any]]:
    """A launch table of "package.op"."""
    import_module(f"{op}.kernel")
    return tables[op][name]


def search(
    table: dict[str, Rows[Any]],
    tuning: Tuning,
    device: torch.device,
    timed: Callable[[Callable[[], object]], float],
) -> Iterator[tuple[int, tuple[Any, ...], float]]:
    """For each size class (the elements up to which it goes, the fastest row, what it took)."""
    row = type(table["default"][0][1])
    for size in tuning.sizes:
        step, times = tuning.step(size, device), {}
        for candidate in (row(*fields) for fields in tuning.candidates):
            with only(table, architecture(device), candidate):
                times[candidate] = timed(step)
        best = min(times, key=times.__getitem__)
        if times[best] < math.inf:
            yield (ENDLESS if size == tuning.sizes[-1] else tuning.elements(size)), best, times[best]


@contextmanager
def only(table: dict[str, Rows[Any]], architecture: str, row: tuple[Any, ...]) -> Iterator[None]:
    """One row for all sizes."""
    before = table.get(architecture)
    table[architecture] = [(ENDLESS, row)]
    try:
        yield
    finally:
        del table[architecture]
        if before is not None:
            table[architecture] = before


def read_rows(path: Path) -> dict[str, Any]:
    """What a file holds that rows can be put into; raises ValueError if there is something else."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise ValueError(f"{path} must be a JSON file of rows: {error}") from error
    if not isinstance(whole, dict):
        raise ValueError(f"{path} must be a JSON file of rows, got a {type(whole).__name__}")
    return whole


def put_rows(path: Path, rows: Mapping[tuple[str, str, str], Sequence[tuple[int, Any]]]) -> None:
    """Write rows by ("package.op", table, architecture) into a file, whole or not at all; what else it holds stays."""
    whole = read_rows(path)
    for (op, name, architecture_), found in rows.items():
        of_table = whole.setdefault(op, {}).setdefault(name, {})
        of_table[architecture_] = [(limit, row._asdict()) for limit, row in found]
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    beside.replace(path)
