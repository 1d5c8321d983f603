"""Which implementation of an op runs on which device, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


def _nothing(device: str) -> str:
    return ""


@dataclass(frozen=True)
class Implementation:
    """One way to compute an op.

    Args:
        name: "native" or "triton"; "reference" for plain PyTorch.
        run: takes what the op's schema says.
        missing: for "cpu" or "cuda", why it cannot run there; "" if it can. By default it runs everywhere.
    """

    name: str
    run: Callable[..., Any]
    missing: Callable[[str], str] = _nothing


@dataclass(frozen=True)
class Choice:
    """The implementation that runs on a device, and why those before it do not."""

    implementation: Implementation
    reason: str


def choose(implementations: Sequence[Implementation], device: str) -> Choice:
    """The first implementation that can run on a device; implementations stand fastest first."""
    passed: list[str] = []
    for implementation in implementations:
        why_not = implementation.missing(device)
        if not why_not:
            return Choice(implementation, "; ".join(passed))
        passed.append(f"{implementation.name}: {why_not}")
    raise ValueError(f"no implementation can run on {device}: {'; '.join(passed)}")
