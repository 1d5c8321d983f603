"""Ours against its peers, from one run: ``python -m bench.ratios RESULTS.json [--svg FILE]`` prints it as a table.

A benchmark takes part if it has the parameter ``implementation``; ours is called "dislayers".
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from dismetrics.files import write_whole

OURS = "dislayers"
WIDTH = 110

# A page must not fetch a font from elsewhere.
_SVG_WITHOUT_FONTS = re.compile(r"@font-face \{\{.*?\}\}", re.DOTALL)


def medians(benchmarks: Iterable[Any]) -> dict[str, dict[str, float]]:
    """Seconds by group and implementation; benchmarks are entries of pytest-benchmark's JSON."""
    result: dict[str, dict[str, float]] = defaultdict(dict)
    for entry in benchmarks:
        if "implementation" in (entry["params"] or {}):
            result[entry["group"]][entry["params"]["implementation"]] = entry["stats"]["median"]
    return {group: times for group, times in result.items() if OURS in times and len(times) > 1}


def tables(groups: dict[str, dict[str, float]]) -> Iterator[Table]:
    """A table for each set of peers: one row a group, each peer's median and how many times ours it takes."""
    by_peers: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for group, times in groups.items():
        by_peers[tuple(name for name in times if name != OURS)].append(group)
    for peers, names in by_peers.items():
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
        table.add_column("median of one call")
        for name in (OURS, *peers):
            table.add_column(name, justify="right")
        for name in names:
            ours = groups[name][OURS]
            cells = (f"{_time(groups[name][peer])} {_ratio(groups[name][peer] / ours)}" for peer in peers)
            table.add_row(name, f"[bold]{_time(ours)}[/bold]", *cells)
        yield table


def _time(seconds: float) -> str:
    milliseconds = seconds * 1e3
    return f"{milliseconds:.{2 if milliseconds >= 1 else 3}f} ms"


def _ratio(times: float) -> str:
    cell = f"{times:.{0 if times >= 100 else 1}f}x".rjust(6)
    return f"[green]{cell}[/green]" if times >= 1 else f"[red]{cell}[/red]"


def show(benchmarks: Iterable[Any], console: Console) -> None:
    """Print every table."""
    for table in tables(medians(benchmarks)):
        console.print(table)
        console.print()


def picture(results: dict[str, Any], title: str) -> str:
    """The tables as an SVG document."""
    from rich._export_format import CONSOLE_SVG_FORMAT

    console = Console(record=True, width=WIDTH, file=io.StringIO())
    show(results["benchmarks"], console)
    return console.export_svg(
        title=title, code_format=_SVG_WITHOUT_FONTS.sub("", CONSOLE_SVG_FORMAT), unique_id="ratios"
    )


def main(results: tyro.conf.Positional[Path], svg: Path | None = None) -> int:
    """Print how many times longer than ours the peers of a run take.

    Args:
        results: what ``pytest bench --benchmark-json FILE`` wrote.
        svg: also a picture of it.
    """
    try:
        content = json.loads(results.read_text(encoding="utf-8"))
        groups = medians(content["benchmarks"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{results} is no file of pytest-benchmark: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    if not groups:
        print(f"{results} has no benchmark of {OURS} beside a peer", file=sys.stderr)
        return 1
    show(content["benchmarks"], Console(width=None if sys.stdout.isatty() else WIDTH))
    if svg is not None:
        machine = content["machine_info"]
        write_whole(svg, picture(content, machine["gpu"] or machine["cpu"]))
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
