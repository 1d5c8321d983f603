"""What evaluating a folder takes, and what of it decoding the files alone takes: ``python -m bench.command_line``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import tyro

from bench.pairs import KINDS, GreyPair, drawn
from dismetrics.files import read_gray

FLIPS = (None, 0, 1, -1)


def write_pairs(folder: Path, count: int, height: int, width: int) -> list[Path]:
    """Write so many pairs of PNG files, a fat and a thin truth in all four flips in turn; returns all files."""
    contents = [
        {side: _png(image if flip is None else cv2.flip(image, flip)) for side, image in pair._asdict().items()}
        for flip, pair in product(FLIPS, (drawn(kind, height, width) for kind in KINDS))
    ]
    files = []
    for side in GreyPair._fields:
        (folder / side).mkdir()
        for i in range(count):
            files.append(folder / side / f"{i:04}.png")
            files[-1].write_bytes(contents[i % len(contents)][side])
    return files


def _png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def main(pairs: int = 200, workers: int = 2, height: int = 2500, width: int = 3100) -> None:
    """Time the command line on generated files.

    Args:
        pairs: how many.
        workers: threads, of the command line and of the decoding alone.
        height: rows of the images.
        width: columns of the images.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_pairs(folder, pairs, height, width)
        started = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(read_gray, files):
                pass
        decoding = time.perf_counter() - started
        command = [sys.executable, "-m", "dismetrics", folder / "pred", folder / "gt", "--workers", str(workers)]
        started = time.perf_counter()
        subprocess.run(command, check=True)
        whole = time.perf_counter() - started
    print(
        f"{pairs} pairs of {height}x{width}, {workers} threads: {whole:.1f} s, {pairs / whole:.1f} pairs a second; "
        f"decoding alone {decoding:.1f} s, {decoding / whole:.0%}"
    )


if __name__ == "__main__":
    tyro.cli(main)
