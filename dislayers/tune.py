"""``python -m dislayers.tune [OP ...]``: fill the launch tables of Triton kernels for the GPU at hand."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import torch

from dislayers._runtime.launch import architecture, triton_missing
from dislayers._runtime.search import Tuning, find_tunings, put_rows, search, table_of

try:
    import tyro
    from rich.console import Console
except ModuleNotFoundError as missing:  # an optional extra
    sys.exit(f"error: tuning needs {missing.name}; install it with: pip install 'dislayers[cli]'")


def median_microseconds(step: Callable[[], object]) -> float:
    """Of one call; infinite for a row that the GPU has no room for."""
    from torch.utils.benchmark import Timer
    from triton.runtime.errors import OutOfResources

    try:
        step()
    except OutOfResources:
        return math.inf
    return Timer("step()", globals={"step": step}).blocked_autorange(min_run_time=0.3).median * 1e6


def tune(
    tunings: Mapping[str, Mapping[str, Tuning]],
    output: Path | None,
    device: torch.device,
    timed: Callable[[Callable[[], object]], float] = median_microseconds,
) -> None:
    """Search and write, table by table; those that are done are in the file when a later one fails."""
    console = Console(highlight=False)
    for op, tables in tunings.items():
        path = output or Path(str(files(op.partition(".")[0]))) / "blocks.json"
        for name, tuning in tables.items():
            table, found = table_of(op, name), []
            for limit, row, time in search(table, tuning, device, timed):
                console.print(f"{op} {name}, up to {limit} elements: {row}, {time:.1f} us")
                found.append((limit, row))
            if found:
                table[architecture(device)] = found
                put_rows(path, {(op, name, architecture(device)): found})


def chosen(names: Sequence[str]) -> dict[str, Mapping[str, Tuning]]:
    """The ops of some names, by default all; raises ValueError for one that is not there."""
    tunings = find_tunings(package.value for package in entry_points(group="dislayers.ops"))
    known = {op.partition(".")[2]: op for op in tunings}
    for name in names:
        if name not in known:
            raise ValueError(f"OP must be one of {', '.join(sorted(known))}, got {name!r}")
    return {known[name]: tunings[known[name]] for name in names or known}


def main(
    ops: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[OP ...]")] = (),
    output: Path | None = None,
) -> int:
    """Time every cut of the Triton kernels into blocks on the GPU at hand and write the fastest of each size class.

    Args:
        ops: folders of ops with launch tables, such as laplacian_boundary; all of them if none is named.
        output: a JSON file for the rows; by default blocks.json of each op's package, which kernels then follow.
    """
    try:
        tunings = chosen(ops)
        device = _device()
        if output:
            put_rows(output, {})
        tune(tunings, output, device)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _device() -> torch.device:
    if not torch.cuda.is_available():
        raise ValueError("a GPU is needed: there is nothing to tune on a CPU")
    if reason := triton_missing("cuda"):
        raise ValueError(f"Triton's kernels cannot run: {reason}")
    return torch.device("cuda", torch.cuda.current_device())


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m dislayers.tune"))
