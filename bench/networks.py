"""Whole networks on a CPU against the same ones of plain PyTorch: time and peak memory of evaluation and training.

``python -m bench.networks`` prints them. Evaluation is that of prediction, with batch norms folded into convolutions. A
training step is forward and backward, without the optimiser, which is the same for both. Memory is what a step has at
most at once from PyTorch's allocator, so without weights, their gradients and the image. Everything is float32, batch
1; the plain network runs in both layouts, and its faster one counts.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from itertools import accumulate, product
from pathlib import Path
from typing import NamedTuple

import torch
import tyro
from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.autograd.profiler import profile
from torch.utils._pytree import tree_leaves

from bench.official.networks import plain
from dislayers import fold_batch_norm
from dismetrics.files import write_whole
from dismodels import create_model

# Names, and sides of the square images in pixels.
NETWORKS = (("isnet", 512), ("mscan_base", 256), ("mscan_base", 512), ("progressive", 512))
MODES = ("evaluation", "training step")
# Times what the plain network's two layouts differ by: rounding is all that may differ.
TOLERANCE = 4
# Of a case: rounds of all implementations at least, and seconds about.
ROUNDS, SECONDS = 3, 5.0

Step = Callable[[], list[Tensor]]


class Measured(NamedTuple):
    """Seconds and bytes of a case; how much results differ, ours from the plain ones and those of its two layouts."""

    network: str
    size: int
    mode: str
    seconds: float
    seconds_plain: float
    bytes: int
    bytes_plain: int
    difference: float
    rounding: float


def measured(network: str, size: int, mode: str) -> Measured:
    """Ours and the plain one in the same run, their results compared before they are timed in turns."""
    ours = build(network, size, mode, torch.channels_last, fold_batch_norm if mode == "evaluation" else None)
    theirs = [build(network, size, mode, layout, plain) for layout in (torch.channels_last, torch.contiguous_format)]
    results = [step() for step in (ours, *theirs)]
    differs, rounding = (difference(result, results[1]) for result in results[::2])
    if not differs <= TOLERANCE * rounding:
        raise ValueError(
            f"{network} {size}², {mode}: results differ by {differs:.2g}, by rounding alone {rounding:.2g}"
        )
    del results
    seconds, *seconds_plain = in_turns([ours, *theirs])
    fastest = min(seconds_plain)
    peaks = [peak_memory(step) for step in (ours, theirs[seconds_plain.index(fastest)])]
    return Measured(network, size, mode, seconds, fastest, *peaks, differs, rounding)


def build(
    network: str,
    size: int,
    mode: str,
    layout: torch.memory_format,
    change: Callable[[nn.Module], nn.Module] | None,
) -> Step:
    """What runs a network once on an image; it gives the outputs, or the gradients summed until then."""
    torch.manual_seed(0)
    model: nn.Module = create_model(network).train(mode == "training step")
    enliven(model)
    model = (change(model) if change else model).to(memory_format=layout)
    image = torch.rand(1, 3, size, size).contiguous(memory_format=layout)

    def evaluate() -> list[Tensor]:
        with torch.inference_mode():
            return tree_leaves(model(image))

    def train() -> list[Tensor]:
        torch.manual_seed(0)  # Every network leaves out the same branches.
        sum(output.sin().mean() for output in tree_leaves(model(image))).backward()
        return [parameter.grad for parameter in model.parameters()]

    return train if model.training else evaluate


@torch.no_grad()
def enliven(model: nn.Module) -> None:
    """Have every parameter and buffer matter, also those that start as ones, zeros or nearly so."""
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if name.endswith("running_var") or (value.ndim == 1 and name.endswith("weight")):
            value.uniform_(0.5, 1.5)
        elif name.endswith("scale"):
            value.fill_(0.03)
        elif value.ndim == 1:
            value.uniform_(-0.1, 0.1)


def difference(found: Iterable[Tensor], expected: Iterable[Tensor]) -> float:
    """Norm of what differs in all tensors together, over the norm of those expected."""
    pairs = [(a.double(), b.double()) for a, b in zip(found, expected, strict=True)]
    return (sum((a - b).square().sum() for a, b in pairs) / sum(b.square().sum() for _, b in pairs)).sqrt().item()


def in_turns(steps: list[Step]) -> list[float]:
    """Median seconds of each."""
    rounds: list[list[float]] = []
    until = time.perf_counter() + SECONDS
    while len(rounds) < ROUNDS or time.perf_counter() < until:
        rounds.append([timed(step) for step in steps])
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def timed(step: Step) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def peak_memory(step: Step) -> int:
    """Bytes that a step has at most at once from PyTorch's allocator, inside of operations too."""
    with profile(profile_memory=True) as profiled:
        step()
    events = [event for event in profiled.kineto_results.events() if event.name() == "[memory]"]
    return max(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))


def table(rows: Iterable[Measured]) -> Table:
    """A line a case."""
    columns = ("network", "", "s", "s plain", "ratio", "MB", "MB plain", "ratio", "differ by", "by rounding")
    shown = Table(*columns, box=MARKDOWN)
    for row in rows:
        shown.add_row(
            f"{row.network} {row.size}²",
            row.mode,
            f"{row.seconds:.3f}",
            f"{row.seconds_plain:.3f}",
            f"{row.seconds_plain / row.seconds:.2f}",
            f"{row.bytes / 1e6:.0f}",
            f"{row.bytes_plain / 1e6:.0f}",
            f"{row.bytes_plain / row.bytes:.2f}",
            f"{row.difference:.0e}",
            f"{row.rounding:.0e}",
        )
    return shown


def main(output: Path | None = None, threads: int = 1) -> None:
    """Compare IS-Net, MSCAN-B and the progressive network with the same of plain PyTorch: time and peak memory.

    Args:
        output: a JSON file for the figures, such as bench/results/networks_cpu.json.
        threads: of PyTorch and of our kernels.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # The profiler would tell that it starts and stops.
    torch.set_num_threads(threads)
    cases = track(list(product(NETWORKS, MODES)), "networks", console=Console(stderr=True), transient=True)
    rows = [measured(*network, mode) for network, mode in cases]
    Console(width=200).print(table(rows))
    if output is not None:
        whole = {"torch": torch.__version__, "threads": threads, "networks": [row._asdict() for row in rows]}
        write_whole(output, json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
