"""Write a synthetic set in DIS5K's layout: `python -m dismodels.data.synthetic --output DIR`."""

import sys
from collections.abc import Iterable
from pathlib import Path

from dismodels.data.synthetic.writing import write_set

try:
    import tyro
    from rich.console import Console
    from rich.progress import track
except ModuleNotFoundError as missing:  # an optional extra
    sys.exit(f"error: writing a set needs {missing.name}; install it with: pip install 'dislayers[cli]'")


def main(
    output: Path, count: int = 100, size: int = 1024, seed: int = 0, contrast: float = 0.8, workers: int = 0
) -> None:
    """Write a synthetic set in DIS5K's layout.

    Args:
        output: the set's folder; must not exist or be empty.
        count: pictures of DIS-TR; DIS-VD and DIS-TE1 to DIS-TE4 get a sixth of that each.
        size: side of the pictures in pixels.
        seed: names the set: the same seed gives the same pictures.
        contrast: 0 to 1, how plainly the objects stand out.
        workers: processes that render; 0 renders in this one.
    """
    console = Console(stderr=True)

    def progress(done: Iterable[None], total: int) -> Iterable[None]:
        return track(done, "Rendering", total, console=console)

    try:
        number = write_set(output, count, size, seed, contrast, workers, progress)
    except (ValueError, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(2) from None
    console.print(f"{number} scenes in {output}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    tyro.cli(main, prog="python -m dismodels.data.synthetic")
