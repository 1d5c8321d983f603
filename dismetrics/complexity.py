"""Complexity of the masks in folders, and their split into subsets: python -m dismetrics.complexity GT."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from dismetrics.evaluation.pool import in_threads
from dismetrics.evaluation.subsets import WHOLE, find_masks
from dismetrics.files import ImageFileError, check_writable, make_folder, read_gray, shortened, write_whole
from dismetrics.shape_complexity import ShapeComplexity, shape_complexity, split_by_complexity

try:
    import tyro
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from dismetrics.evaluation.command_line import refuse_unreadable, run
    from dismetrics.evaluation.progress import progress
    from dismetrics.evaluation.results import gathered, gathered_by_group, group_and_class, rows_text
    from dismetrics.evaluation.tables import empty_table
except ModuleNotFoundError as missing:  # an optional extra
    sys.exit(f"error: measuring folders needs {missing.name}; install it with: pip install 'dislayers[cli]'")

_MEASURES = ("ipq", "contours", "dominant_points")
_TITLES = ("masks", "IPQ", "contours", "points", "IPQ x points")


class Mask(NamedTuple):
    """A mask's place, DIS5K group and class (empty for other names), and complexity."""

    subset: str
    name: str
    group: str
    category: str
    complexity: ShapeComplexity


def complexity(
    gt: Annotated[Path, tyro.conf.arg(metavar="GT")],
    more: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="[GT ...]")] = (),
    /,
    split: int | None = None,
    csv: Path | None = None,
    output: Path | None = None,
    workers: int | None = None,
) -> None:
    """Measure the complexity of masks as DIS5K does: IPQ, number of contours, number of dominant points.

    Prints mean ± standard deviation by subset, as the paper's table 4 does, and by DIS5K's groups of objects.

    Args:
        gt: Folder of masks, or of such folders; in DIS5K's layout too.
        more: Further folders of masks.
        split: Number of subsets to split all masks into, equal in size, by ascending IPQ x dominant points; DIS5K
            splits its test images into 4. They are called TE1, TE2, ...
        csv: File to write with a row a mask.
        output: Folder to write the split into: TE1.txt, TE2.txt, ... with a name a line.
        workers: Threads; by default one a core, 16 at most.
    """
    if output and split is None:
        raise ValueError("output: expected with --split, whose lists it takes")
    if csv:
        check_writable(csv)
    if output:
        make_folder(output)
    masks = _measure(find_masks([gt, *more]), workers)
    if split is not None:
        masks = _split(masks, split)
    if csv:
        write_whole(csv, rows_text([_row(mask) for mask in masks]))
    if output:
        for subset, part in gathered(masks, lambda mask: mask.subset).items():
            write_whole(output / f"{subset}.txt", "".join(f"{mask.name}\n" for mask in part))
    if empty := [mask.name for mask in masks if not mask.complexity.area]:
        print(f"empty masks, which have no IPQ: {shortened(empty)}", file=sys.stderr)
    _print_tables(masks)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1 after an error, 130 when interrupted."""
    return run(complexity, "python -m dismetrics.complexity", arguments)


def _measure(subsets: dict[str, list[Path]], workers: int | None) -> list[Mask]:
    paths = [(subset, path) for subset, files in subsets.items() for path in files]
    work = in_threads(_measure_file, (path for _, path in paths), workers)
    outcomes = list(progress(work, len(paths), "measuring"))
    refuse_unreadable(outcomes)
    return [
        Mask(subset, path.stem, *group_and_class(path.stem), outcome)
        for (subset, path), outcome in zip(paths, outcomes, strict=True)
        if isinstance(outcome, ShapeComplexity)
    ]


def _measure_file(path: Path) -> ShapeComplexity | ImageFileError:
    try:
        return shape_complexity(read_gray(path))
    except ImageFileError as error:
        return error


def _split(masks: list[Mask], subsets: int) -> list[Mask]:
    """The masks in the order of the split; in several folders their names say in which, for files may share a stem."""
    parts = split_by_complexity([mask.complexity for mask in masks], subsets)
    if len({mask.subset for mask in masks}) > 1:
        masks = [mask._replace(name=f"{mask.subset}/{mask.name}") for mask in masks]
    return [masks[index]._replace(subset=f"TE{number}") for number, part in enumerate(parts, 1) for index in part]


def _row(mask: Mask) -> dict[str, Any]:
    place = {"subset": mask.subset, "name": mask.name, "group": mask.group, "class": mask.category}
    return place | mask.complexity._asdict() | {"product": mask.complexity.product}


def _print_tables(masks: list[Mask]) -> None:
    console = Console()
    subsets = gathered(masks, lambda mask: mask.subset)
    console.print(_table("subset", subsets | {WHOLE: masks}))
    if groups := gathered_by_group(masks, lambda mask: mask.group):
        console.print(_table("group", groups))


def _table(title: str, parts: dict[str, list[Mask]]) -> Table:
    table = empty_table([title], _TITLES)
    for name, masks in parts.items():
        cells = [_mean_and_deviation([getattr(mask.complexity, key) for mask in masks]) for key in _MEASURES]
        product = np.mean([mask.complexity.product for mask in masks])
        table.add_row(Text(name), str(len(masks)), *cells, f"{product:.0f}")
    return table


def _mean_and_deviation(values: Sequence[float]) -> str:
    known = np.array(values)[~np.isnan(values)]  # an empty mask has no IPQ
    return f"{known.mean():.1f} ± {known.std():.1f}" if known.size else "nan"


if __name__ == "__main__":
    sys.exit(main())
