"""Which implementation of an op runs on which device, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Implementation:
    """One way to compute an op on one kind of device.

    Args:
        name: "native", "triton" or "reference".
        device: "cpu" or "cuda".
        run: takes what the op's schema says.
        missing: why it cannot run here; "" if it can.
    """

    name: str
    device: str
    run: Callable[..., Any]
    missing: str = ""


@dataclass(frozen=True)
class Choice:
    """The implementation that runs on a device, and why those before it do not."""

    implementation: Implementation
    reason: str


def choose(implementations: Sequence[Implementation], device: str) -> Choice:
    """The first implementation for a device that can run; implementations stand fastest first."""
    passed: list[str] = []
    for implementation in implementations:
        if implementation.device != device:
            continue
        if not implementation.missing:
            return Choice(implementation, "; ".join(passed))
        passed.append(f"{implementation.name}: {implementation.missing}")
    raise ValueError(f"no implementation can run on {device}: {'; '.join(passed)}")
