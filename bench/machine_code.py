"""What a compiled GPU kernel costs, read from the log of ptxas and from its disassembly; no GPU is needed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_ENTRY = re.compile(
    r"Function properties for (?P<name>\S+)\s+(?P<stack>\d+) bytes stack frame, (?P<spill_stores>\d+) bytes spill "
    r"stores, (?P<spill_loads>\d+) bytes spill loads\s+\S+ info\s*: Used (?P<registers>\d+) registers"
    r"(?:[^\n]*?(?P<shared>\d+) bytes smem)?"
)


class MissingToolError(Exception):
    """A program that is not there, in one line."""


@dataclass(frozen=True)
class Figures:
    """Of one kernel for one architecture.

    Registers are a thread's; stack, spills and the widest global load are bytes of a thread, shared memory is bytes
    of a block, without what a launch adds. Loads, stores, instructions and multiply-adds in float32 are counted in the
    machine code as it stands, padding left out: what a loop repeats counts once.
    """

    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int
    local_loads: int
    local_stores: int
    widest_load: int
    instructions: int
    multiply_adds: int


def find_nvdisasm() -> str:
    """The disassembler that Triton brings, or that on the PATH."""
    bundled = None
    if find_spec("triton"):
        from triton import knobs

        bundled = knobs.nvidia.nvdisasm.path
    found = bundled or shutil.which("nvdisasm")
    if found is None:
        raise MissingToolError("no nvdisasm, neither from Triton nor on the PATH")
    return str(found)


def read_kernels(log: str, cubin: Path) -> dict[str, Figures]:
    """Figures of every kernel of a cubin, by its mangled name; ``log`` is what ``ptxas -v`` said of it."""
    opcodes = _disassembled(cubin)
    found = {}
    for entry in _ENTRY.finditer(log):
        figures = {name: int(figure or 0) for name, figure in entry.groupdict().items() if name != "name"}
        found[entry["name"]] = Figures(**figures, **_counted(opcodes[entry["name"]]))
    if not found:
        raise ValueError(f"ptxas names no kernel in its log: {log!r}")
    return found


def _disassembled(cubin: Path) -> dict[str, list[str]]:
    """The opcodes of every function, in order."""
    command = [find_nvdisasm(), "-json", str(cubin)]
    functions = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)[1]
    return {
        function["function-name"]: [instruction["opcode"] for instruction in function["sass-instructions"]]
        for function in functions
    }


def _counted(opcodes: Sequence[str]) -> dict[str, int]:
    kinds = [opcode.partition(".")[0] for opcode in opcodes]
    return {
        "local_loads": kinds.count("LDL"),
        "local_stores": kinds.count("STL"),
        "widest_load": max((_load_bytes(opcode) for opcode in opcodes if opcode.startswith("LDG")), default=0),
        "instructions": len(kinds) - kinds.count("NOP"),
        "multiply_adds": kinds.count("FFMA"),
    }


def _load_bytes(opcode: str) -> int:
    """Bytes that a load brings: ``LDG.E.128`` 16, ``LDG.E.U8`` 1, ``LDG.E`` 4."""
    widths = re.findall(r"\.[US]?(8|16|32|64|128|256)(?=\.|$)", opcode)
    return int(widths[-1]) // 8 if widths else 4


def source_name(mangled: str) -> str:
    """The name that a kernel has in its source: the last part of a nested C++ name, or the name itself.

    Of a template, also the type or the boolean that it is made for.
    """
    name, rest = _last_part(mangled)
    argument = re.match(r"I(?P<float>f)|ILb(?P<true>1)|ILb(?P<false>0)|I(?P<nested>N\w+)", rest)
    if argument is None:
        return name
    chosen = _last_part(argument["nested"])[0] if argument["nested"] else argument.lastgroup
    return f"{name}<{chosen}>"


def _last_part(mangled: str) -> tuple[str, str]:
    """The last part of a nested C++ name, or the name itself; and what follows it."""
    part, rest = mangled, mangled.removeprefix("_Z").removeprefix("N")
    if rest == mangled:
        return mangled, ""
    rest = re.sub(r"^S\d*_", "", rest)
    while length := re.match(r"\d+", rest):
        end = length.end() + int(length[0])
        part, rest = rest[length.end() : end], rest[end:]
    return part, rest
