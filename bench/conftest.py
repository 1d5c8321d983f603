"""What a benchmark file says of the machine: processors and versions, no names."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest
import torch


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    cpu = machine_info.get("cpu", {})
    machine_info.clear()
    machine_info |= {
        "cpu": cpu.get("brand_raw", platform.processor()),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "triton": _version("triton"),
    }
