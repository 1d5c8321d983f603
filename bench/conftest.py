"""What a benchmark file says of the machine (processors and versions, no names), and the table at the end of a run."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import cv2
import pytest
import torch
from rich.console import Console

from bench.measure import GPU, clock
from bench.ratios import WIDTH, show
from dislayers._runtime.native import extension

PACKAGES = ("torch", "triton", "numpy", "opencv-python", "scikit-image", "scipy")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _driver() -> str | None:
    if not GPU or shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return lines[0].strip() if lines else None


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    cpu = machine_info.get("cpu", {})
    machine_info.clear()
    machine_info |= {
        "cpu": cpu.get("brand_raw", platform.processor()),
        "instruction_set": extension.instruction_sets()[-1] if extension else None,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if GPU else None,
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
    }


def pytest_benchmark_update_commit_info(config: pytest.Config, commit_info: dict[str, Any]) -> None:
    for name in set(commit_info) - {"id", "time", "dirty"}:
        del commit_info[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.benchmark(timer=clock))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    benchmarks = [entry.as_dict() for entry in config._benchmarksession.benchmarks if entry]  # type: ignore[attr-defined]
    terminalreporter.write_line("")
    show(benchmarks, Console(file=terminalreporter._tw._file, width=WIDTH))


@pytest.fixture(autouse=True)
def fresh_compiler() -> None:
    """Past some number of sizes torch.compile would give up and run eagerly."""
    torch.compiler.reset()


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads, opencv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    yield
    torch.set_num_threads(threads)
    cv2.setNumThreads(opencv_threads)
