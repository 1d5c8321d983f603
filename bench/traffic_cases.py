"""The losses whose traffic is counted: ours against the published formula in PyTorch, eager and compiled."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from rich.box import MARKDOWN
from rich.table import Table
from torch import Tensor

import dislosses
from bench import test_orthogonality, test_pixel_losses
from bench.traffic import Arguments, Operation, Traffic, count
from bench.traffic_compiled import VERSION, count_compiled
from dismodels import create_model

BATCH, SIZE = 8, 1024


@dataclass(frozen=True)
class Case:
    """An operation, ours and as published, and what both take; ``idle`` as :func:`bench.traffic.count`."""

    operation: str
    ours: Operation
    published: Operation
    arguments: Arguments
    idle: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Counted:
    """What one implementation of an operation costs, forward and backward."""

    operation: str
    implementation: str
    traffic: Traffic

    def row(self) -> dict[str, object]:
        """For JSON; sizes in bytes."""
        traffic = self.traffic
        return {
            "operation": self.operation,
            "implementation": self.implementation,
            "kernels": traffic.kernels,
            "moved": traffic.moved,
            "kept_for_backward": traffic.kept,
            "launches": dict(sorted(traffic.launches.items())),
        }


def logits_and_target() -> tuple[Tensor, Tensor]:
    logits, target = (torch.empty(BATCH, 1, SIZE, SIZE) for _ in range(2))
    return logits.requires_grad_(), target


def weights() -> tuple[list[Tensor]]:
    """Of IS-Net's convolutions."""
    return (dislosses.orthogonality_weights(create_model("isnet")),)


CASES = [
    *(Case(name, ours, published, logits_and_target) for name, (ours, published) in test_pixel_losses.LOSSES.items()),
    Case("orthogonality of 119 weights", dislosses.orthogonality_loss, test_orthogonality.published, weights),
]


def not_countable(triton: bool) -> dict[str, str]:
    """Why the traffic of an implementation cannot be counted here, with Triton to be launched or without."""
    missing = {} if triton else {"dislayers": "as Triton is"}
    if not torch.__version__.startswith(f"{VERSION}."):
        missing["torch.compile"] = f"PyTorch is {torch.__version__}, expected {VERSION}"
    return missing


def count_cases(cases: list[Case], left_out: Collection[str] = ()) -> Iterator[Counted]:
    """Every implementation of every case, but those left out."""
    for case in cases:
        counters = {
            "dislayers": lambda case=case: count(case.ours, case.arguments, case.idle),
            "PyTorch": lambda case=case: count(case.published, case.arguments),
            "torch.compile": lambda case=case: count_compiled(case.published, case.arguments),
        }
        for implementation, counter in counters.items():
            if implementation not in left_out:
                yield Counted(case.operation, implementation, counter())


def traffic_table(counted: list[Counted]) -> Table:
    """One row an operation, as Markdown; the figures of a cell are for the implementations in order."""
    result = Table(box=MARKDOWN)
    implementations = dict.fromkeys(row.implementation for row in counted)
    result.add_column(f"forward and backward by {' / '.join(implementations)}", no_wrap=True)
    for heading in ("kernels", "GB moved", "MB kept for backward"):
        result.add_column(heading, justify="right")
    for operation in dict.fromkeys(row.operation for row in counted):
        traffics = [row.traffic for row in counted if row.operation == operation]
        result.add_row(
            operation,
            " / ".join(f"{traffic.kernels}" for traffic in traffics),
            " / ".join(f"{traffic.moved / 1e9:.2f}" for traffic in traffics),
            " / ".join(f"{traffic.kept / 1e6:.1f}" for traffic in traffics),
        )
    return result
