"""Peak of memory that the six metrics of a 2500x3100 pair need beside the pair: ``python -m bench.memory``.

One process draws the pair and another measures it; this one stays small, since a process starts with the peak of the
one that starts it.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

SIZE = (2500, 3100)
KINDS = ("fat", "thin")


def draw(kind: str, file: Path) -> None:
    """Save a pair."""
    import numpy as np

    from bench.pairs import drawn

    np.savez(file, **drawn(kind, *SIZE)._asdict())


def growth(file: Path) -> int:
    """Bytes by which the peak of this process's memory grows while it measures a saved pair."""
    import resource

    import numpy as np
    import torch

    from dismetrics import DIS_METRICS, Evaluator

    def peak() -> int:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    torch.set_num_threads(1)
    pair = np.load(file)
    pred, gt = pair["pred"], pair["gt"]
    evaluator = Evaluator(DIS_METRICS)
    evaluator.update(pred[:64, :64].copy(), gt[:64, :64].copy())  # so that all is imported
    before = peak()
    evaluator.update(pred, gt)
    return peak() - before


def main() -> int:
    """Print a line a kind of truth."""
    if sys.platform == "win32":
        print("Windows does not tell a process's peak of memory by Python's resource module", file=sys.stderr)
        return 1
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "pair.npz")
                pool.submit(draw, kind, file).result()
                grown = pool.submit(growth, file).result()
            each = grown / (SIZE[0] * SIZE[1])
            print(f"six metrics, {SIZE[0]}x{SIZE[1]} {kind}: {grown / 1e6:.0f} MB, {each:.1f} bytes a pixel")
    return 0


if __name__ == "__main__":
    sys.exit(main())
