"""PySODMetrics as a peer: installed with what it pins in an environment of its own, asked through a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

RELEASE = "pysodmetrics==1.6.2"
SERVER = Path(__file__).with_name("pysodmetrics_server.py")
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}


class NotInstalledError(Exception):
    """Why there is no PySODMetrics, in one line."""


def install(folder: Path) -> Path:
    """The interpreter of an environment in the folder that has PySODMetrics; it is made on first use."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / RELEASE
    if not done.exists():
        try:
            venv.create(folder, clear=True, with_pip=True)
            command = [python, "-m", "pip", "install", "--quiet", RELEASE]
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = str(getattr(error, "stderr", None) or error).strip().splitlines()
            raise NotInstalledError(f"{RELEASE} cannot be installed in {folder}: {said[-1]}") from error
        done.touch()
    return python


class PySODMetrics:
    """A process that measures the pair that it was given last, on one thread.

    Its call takes a pipe's round trip longer than the work, 0.1 ms.
    """

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen(
            [python, SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": ""},
        )

    def load(self, pred: NDArray[np.uint8], gt: NDArray[np.uint8]) -> None:
        """Take a pair."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [str(Path(folder, f"{name}.npy")) for name in ("pred", "gt")]
            for path, image in zip(paths, (pred, gt), strict=True):
                np.save(path, image)
            self._ask({"load": paths})

    def measure(self, names: Sequence[str]) -> dict[str, float]:
        """Values of the pair by key, for names and keys of our evaluator."""
        return self._ask({"measure": names})

    def _ask(self, request: dict[str, Any]) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{RELEASE} ended with status {self._process.wait()}")
        return json.loads(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.communicate()
