"""Compile every GPU kernel for every architecture without a GPU, and check what came out.

``python -m bench.static`` prints registers, memory and instructions of each kernel, writes them as JSON, and fails if a
kernel spills, has a stack frame, touches local memory or needs more instructions an element, or a multiply-add, than
its budget. It also counts the kernels that a loss launches and the bytes that it moves, beside those of PyTorch.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tyro
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

import dislayers
import dislosses
from bench.machine_code import Figures, MissingToolError, find_nvdisasm, read_kernels, source_name
from bench.traffic_cases import CASES, Counted, count_cases, not_countable, traffic_table
from dislayers._runtime.launch import AheadOfTime
from dismetrics.files import write_whole

ARCHITECTURES = (80, 90, 100)
PACKAGES = (dislayers, dislosses)
NVCC_FLAGS = ("-std=c++17", "-O3", "-cubin", "-Xptxas=-v", "-Werror=all-warnings")
HOST_FLAGS = () if sys.platform == "win32" else ("-Xcompiler=-Wall,-Wextra",)
COLUMNS = (
    "registers",
    "shared bytes",
    "stack, spills, local",
    "widest load",
    "SASS",
    "an element",
    "a multiply-add",
    "budget",
)
# Most instructions a multiply-add of kernels that are made of those: counted in their machine code, with what runs once
# for a tile and what repeats taken alike, and rounded up.
MULTIPLY_ADD_BUDGETS = {
    "multiscale_conv_attention forward_kernel": 1.45,
    "multiscale_conv_attention columns_backward_kernel": 1.5,
    "multiscale_conv_attention rows_backward_kernel": 1.55,
    "multiscale_conv_attention square_backward_kernel": 1.6,
}
FORBIDDEN = ("stack", "spill_stores", "spill_loads", "local_loads", "local_stores")


class CompileError(Exception):
    """What a compiler said."""


@dataclass(frozen=True)
class Compiled:
    """A kernel as it is for one architecture."""

    kernel: str
    architecture: str
    figures: Figures
    instructions_an_element: float | None = None
    instructions_a_multiply_add: float | None = None
    budget: float | None = None

    def faults(self) -> Iterator[str]:
        """What must not be, in one line each."""
        where = f"{self.kernel} for {self.architecture}"
        for name in FORBIDDEN:
            if figure := getattr(self.figures, name):
                yield f"{where}: {name.replace('_', ' ')} {figure}, expected 0"
        for unit in ("an_element", "a_multiply_add"):
            each = getattr(self, f"instructions_{unit}")
            if each is not None and self.budget is not None and each > self.budget:
                yield f"{where}: {each:g} instructions {unit.replace('_', ' ')}, budget {self.budget:g}"


def nvcc_version() -> str:
    """The version of the CUDA compiler on the PATH."""
    if shutil.which("nvcc") is None:
        raise MissingToolError("no nvcc on the PATH")
    text = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"V([\d.]+)", text)
    return found[1] if found else "unknown"


def triton_version() -> str:
    """The version of Triton, whose kernels must be compiled, not interpreted."""
    if find_spec("triton") is None:
        raise MissingToolError("Triton is not installed")
    if os.environ.get("TRITON_INTERPRET", "0") in ("1", "true", "on"):
        raise MissingToolError("TRITON_INTERPRET is set, so there is nothing to compile")
    return version("triton")


def compile_cuda(folder: Path) -> Iterator[Compiled]:
    """Every kernel of ``csrc/*.cu``, compiled with warnings as errors."""
    for source in sorted((Path(__file__).parent.parent / "csrc").glob("*.cu")):
        for architecture in ARCHITECTURES:
            cubin = folder / f"{source.stem}.{architecture}.cubin"
            command = ["nvcc", *NVCC_FLAGS, *HOST_FLAGS, f"-arch=sm_{architecture}", str(source), "-o", str(cubin)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise CompileError(f"nvcc {source.name} for sm_{architecture}: {(done.stderr + done.stdout).strip()}")
            for name, figures in read_kernels(done.stderr + done.stdout, cubin).items():
                yield _compiled_cuda(f"{source.stem} {source_name(name)}", f"sm_{architecture}", figures)


def _compiled_cuda(kernel: str, architecture: str, figures: Figures) -> Compiled:
    budget = MULTIPLY_ADD_BUDGETS.get(kernel.partition("<")[0])
    each = None if budget is None else round(figures.instructions / figures.multiply_adds, 2)
    return Compiled(kernel, architecture, figures, instructions_a_multiply_add=each, budget=budget)


def triton_variants() -> Iterator[AheadOfTime]:
    """What the kernel modules of all ops list."""
    for package in PACKAGES:
        for module in pkgutil.iter_modules(package.__path__):
            name = f"{package.__name__}.{module.name}.kernel"
            if module.ispkg and not module.name.startswith("_") and find_spec(name):
                yield from getattr(importlib.import_module(name), "AHEAD_OF_TIME", ())


def compile_triton(folder: Path) -> Iterator[Compiled]:
    """Every variant of every Triton kernel, compiled as its launcher would."""
    for variant in triton_variants():
        for architecture in ARCHITECTURES:
            figures = _triton_figures(variant, architecture, folder / "triton.cubin")
            each = figures.instructions * 32 * variant.warps / variant.elements if variant.elements else None
            yield Compiled(
                variant.name,
                f"sm_{architecture}",
                figures,
                instructions_an_element=None if each is None else round(each, 2),
                budget=variant.budget if variant.budget < float("inf") else None,
            )


def _triton_figures(variant: AheadOfTime, architecture: int, cubin: Path) -> Figures:
    import triton
    from triton import knobs
    from triton.backends.compiler import GPUTarget
    from triton.errors import TritonError

    names = variant.kernel.arg_names
    types = dict.fromkeys(variant.constants, "constexpr") | dict(variant.signature)
    source = triton.compiler.ASTSource(
        variant.kernel,
        {name: types[name] for name in names},
        dict(variant.constants),
        {
            path: [["tt.divisibility", 16]]
            for name in variant.aligned
            for path in _paths(names.index(name), types[name])
        },
    )
    log = io.StringIO()
    with knobs.nvidia.scope(), knobs.compilation.scope(), redirect_stdout(log):
        knobs.nvidia.dump_ptxas_log = True
        knobs.compilation.always_compile = True
        target = GPUTarget("cuda", architecture, 32)
        options = {"num_warps": variant.warps, "enable_fp_fusion": variant.fp_fusion}
        try:
            compiled: Any = triton.compile(source, target=target, options=options)
        except TritonError as error:
            raise CompileError(f"{variant.name} for sm_{architecture}: {error}") from error
    cubin.write_bytes(compiled.asm["cubin"])
    (figures,) = read_kernels(log.getvalue(), cubin).values()
    # Triton asks for shared memory at launch, so ptxas does not see it.
    return Figures(**asdict(figures) | {"shared": figures.shared + compiled.metadata.shared})


def _paths(index: int, type_: str | tuple[str, ...]) -> list[tuple[int, ...]]:
    """Where Triton finds an argument, or each member of a tuple of them."""
    return [(index,)] if isinstance(type_, str) else [(index, member) for member in range(len(type_))]


def table(kernels: list[Compiled]) -> Table:
    """One row a kernel, as Markdown; the figures of a cell are for the architectures in order."""
    result = Table(box=MARKDOWN)
    result.add_column(
        f"kernel, for {' / '.join(dict.fromkeys(kernel.architecture for kernel in kernels))}", no_wrap=True
    )
    for heading in COLUMNS:
        result.add_column(heading, justify="right")
    for name in dict.fromkeys(kernel.kernel for kernel in kernels):
        variants = [_amounts(kernel) for kernel in kernels if kernel.kernel == name]
        result.add_row(name, *(_cell(figures) for figures in zip(*variants, strict=True)))
    return result


def _cell(figures: tuple[str, ...]) -> str:
    return figures[0] if len(set(figures)) == 1 else " / ".join(figures)


def _amounts(kernel: Compiled) -> list[str]:
    figures = kernel.figures
    amounts = (
        figures.registers,
        figures.shared,
        sum(getattr(figures, name) for name in FORBIDDEN),
        figures.widest_load,
        figures.instructions,
        kernel.instructions_an_element,
        kernel.instructions_a_multiply_add,
        kernel.budget,
    )
    return ["" if amount is None else f"{amount:g}" for amount in amounts]


def write(path: Path, versions: dict[str, str | None], kernels: list[Compiled], traffic: list[Counted]) -> None:
    """All of it, or the file stays as it was."""
    rows = [asdict(kernel) for kernel in kernels]
    rows = [{"kernel": row["kernel"], "architecture": row["architecture"], **row.pop("figures"), **row} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"versions": versions, "kernels": rows, "traffic": [row.row() for row in traffic]}
    write_whole(path, json.dumps(whole, indent=1) + "\n")


def main(output: Path = Path(__file__).parent / "results" / "static.json", require: bool = False) -> int:
    """Compile every GPU kernel for sm_80, sm_90 and sm_100 and check registers, memory and instructions.

    Args:
        output: the JSON file.
        require: fail where nvcc or Triton is missing, instead of leaving its part out.
    """
    parts: dict[str, tuple[Callable[[], str], Callable[[Path], Iterator[Compiled]]]] = {
        "nvcc": (nvcc_version, compile_cuda),
        "triton": (triton_version, compile_triton),
    }
    versions: dict[str, str | None] = {}
    kernels: list[Compiled] = []
    for part, (found_version, compiled) in parts.items():
        try:
            find_nvdisasm()
            versions[part] = found_version()
        except MissingToolError as missing:
            versions[part] = None
            print(f"{part}: left out, {missing}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                kernels += compiled(Path(folder))
            except CompileError as error:
                print(error, file=sys.stderr)
                return 1
    missing = not_countable(triton=versions["triton"] is not None)
    for implementation, reason in missing.items():
        print(f"traffic of {implementation}: left out, {reason}", file=sys.stderr)
    traffic = list(count_cases(CASES, missing))
    console = Console(width=200)
    if kernels:
        console.print(table(kernels))
    console.print(traffic_table(traffic))
    write(output, versions | {"torch": version("torch")}, kernels, traffic)
    faults = [fault for kernel in kernels for fault in kernel.faults()]
    for fault in faults:
        print(fault, file=sys.stderr)
    return int(bool(faults) or (require and None in versions.values()))


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
