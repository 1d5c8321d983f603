"""``python -m dislayers``: versions, devices, and which implementation every op takes here, and why."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, entry_points, version

import torch

from dislayers._runtime import library, native

_PACKAGES = ("dislayers", "torch", "triton", "numpy", "opencv-python", "scikit-image")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _devices() -> Iterator[tuple[str, str]]:
    sets = native.extension.instruction_sets() if native.extension else []
    yield "cpu", f"{platform.machine()}, {torch.get_num_threads()} threads" + (f", kernels: {sets[-1]}" if sets else "")
    if not torch.cuda.is_available():
        yield "cuda", "no GPU" if torch.version.cuda else "no GPU support in this PyTorch"
    for index in range(torch.cuda.device_count()):
        major, minor = torch.cuda.get_device_capability(index)
        yield f"cuda:{index}", f"{torch.cuda.get_device_name(index)}, sm_{major}{minor}"


def _extension() -> Iterator[tuple[str, str]]:
    for device in library.DEVICES:
        yield f"native {device}", native.missing(device) or "built"


def _ops() -> Iterator[tuple[str, str]]:
    for name, choices in sorted(library.choices.items()):
        taken = (
            f"{device}: {choice.implementation.name}" + (f" ({choice.reason})" if choice.reason else "")
            for device, choice in choices.items()
        )
        yield name, ", ".join(taken)


def main() -> None:
    """Print the environment."""
    for package in entry_points(group="dislayers.ops"):
        package.load()
    sections = {
        "versions": [("python", platform.python_version())] + [(name, _version(name)) for name in _PACKAGES],
        "devices": _devices(),
        "compiled extension": _extension(),
        "ops": _ops(),
    }
    for title, rows in sections.items():
        print(f"{title}:")
        listed = list(rows)
        width = max(len(name) for name, _ in listed)
        for name, text in listed:
            print(f"  {name:<{width}} {text}")


if __name__ == "__main__":
    main()
