"""Launching Triton kernels: whether they can run, in which blocks, and what is compiled ahead of time.

Rule for large tensors: a program adds its 64-bit start to the pointer once; offsets inside its block are 32 bits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from typing import Any, NamedTuple, Self, TypeVar

import torch

from dislayers._runtime.backend import Implementation


def triton_missing(device: str) -> str:
    """Why Triton kernels cannot run on a kind of device, "" if they can."""
    if find_spec("triton") is None:
        return "triton is not installed"
    if device == "cpu" and os.environ.get("TRITON_INTERPRET", "0") not in ("1", "true", "on"):
        return "TRITON_INTERPRET is not 1"
    return ""


def in_triton(launcher: str, *first: Any) -> Implementation:
    """The function "module.name" as an implementation, given ``first`` before the op's arguments.

    Its module needs Triton, so it is imported when the op first runs.
    """
    module, _, name = launcher.rpartition(".")

    def run(*arguments: Any) -> Any:
        return getattr(import_module(module), name)(*first, *arguments)

    return Implementation("triton", run, triton_missing)


class Blocks(NamedTuple):
    """How a kernel is cut into programs: elements a program, warps a program."""

    elements: int
    warps: int


Row = TypeVar("Row", bound=tuple[Any, ...])
Rows = Sequence[tuple[int, Row]]
"""(elements of the tensor up to which it holds, how the kernel is cut), ascending; the last holds for all above."""

BlockTable = Mapping[str, Rows[Blocks]]
"""For "sm_90" and the like, and "default"."""

ENDLESS = 1 << 62

tables: dict[str, dict[str, dict[str, Rows[Any]]]] = {}
"""The launch tables that ``python -m dislayers.tune`` can fill, by "package.op" and name."""


def launch_table(op: str, name: str, **defaults: Rows[Row]) -> dict[str, Rows[Row]]:
    """A launch table: for an architecture the rows in ``blocks.json`` of the package, else the defaults.

    Args:
        op: "package.op", where the kernel stands.
        name: of the table, one of the op's.
        defaults: rows, which are named tuples, for "default" and for architectures.
    """
    kind: Any = type(defaults["default"][0][1])
    tuned = {
        architecture: [(limit, kind(**fields)) for limit, fields in rows]
        for architecture, rows in tuned_rows(op.partition(".")[0]).get(op, {}).get(name, {}).items()
    }
    table = {**defaults, **tuned}
    tables.setdefault(op, {})[name] = table
    return table


@cache
def tuned_rows(package: str) -> dict[str, dict[str, dict[str, list[tuple[int, dict[str, int]]]]]]:
    """What ``blocks.json`` of a package says: rows by "package.op", table and architecture."""
    text = files(package).joinpath("blocks.json").read_text(encoding="utf-8")
    rows: dict[str, Any] = json.loads(text)
    return rows


@cache
def architecture(device: torch.device) -> str:
    """The name of a GPU's architecture, "sm_90"; "cpu" under Triton's interpreter."""
    if device.type != "cuda":
        return "cpu"
    major, minor = torch.cuda.get_device_capability(device)
    return f"sm_{major}{minor}"


def blocks_for(table: Mapping[str, Rows[Row]], device: torch.device, elements: int) -> Row:
    """The row of a launch table for a device and a size."""
    rows = table.get(architecture(device), table["default"])
    return next((blocks for limit, blocks in rows if elements <= limit), rows[-1][1])


@dataclass(frozen=True)
class AheadOfTime:
    """A variant of a Triton kernel that the static proof compiles for every GPU architecture.

    Args:
        name: of the variant, for the report.
        kernel: the ``triton.jit`` function.
        signature: Triton types of the arguments that are no constants ("*bf16", "i32", "fp32", or a tuple of such).
        constants: values of the constexpr arguments.
        warps: a program.
        elements: a program, for the count of instructions an element; 0 where the kernel loops.
        budget: instructions an element that the kernel may have.
        aligned: names of arguments that are divisible by 16 (pointers and sizes).
        fp_fusion: whether a product and a sum may become one multiply-add.
    """

    name: str
    kernel: Any
    signature: Mapping[str, str | tuple[str, ...]]
    constants: Mapping[str, Any]
    warps: int
    elements: int = 0
    budget: float = float("inf")
    aligned: Sequence[str] = ()
    fp_fusion: bool = True

    @classmethod
    def of(
        cls,
        name: str,
        kernel: Any,
        constants: Mapping[str, Any],
        types: Mapping[str, str | tuple[str, ...]],
        warps: int,
        *,
        aligned: tuple[str, ...] = ("_ptr",),
        elements: int = 0,
        budget: float = float("inf"),
        fp_fusion: bool = True,
    ) -> Self:
        """A variant of a kernel, of whose arguments constants and types may hold more than there are.

        What stands in neither is "*fp32" if its name ends with "_ptr", else "i32"; aligned holds endings of names.
        """
        own = {argument: constants[argument] for argument in kernel.arg_names if argument in constants}
        rest = [argument for argument in kernel.arg_names if argument not in own]
        signature = {x: types.get(x, "*fp32" if x.endswith("_ptr") else "i32") for x in rest}
        ends = [x for x in rest if x.endswith(aligned)]
        return cls(name, kernel, signature, own, warps, elements, budget, ends, fp_fusion)
