"""The command line: python -m dismetrics PRED GT."""

import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated

from dismetrics.evaluate import METRICS, Evaluator
from dismetrics.files import Match, check_writable, shortened, write_whole
from dismetrics.pool import evaluate_files
from dismetrics.subsets import WHOLE, find_subsets, subset_folders

try:
    import tyro
    from rich.console import Console
    from rich.progress import track

    from dismetrics.report import Result, by_group, by_subset, csv_text, json_text, screen_table
except ModuleNotFoundError as missing:  # an optional extra
    sys.exit(f"error: evaluation needs {missing.name}; install it with: pip install 'dislayers[cli]'")


def evaluate(
    pred: Annotated[Path, tyro.conf.arg(metavar="PRED")],
    gt: Annotated[Path, tyro.conf.arg(metavar="GT")],
    /,
    metrics: tuple[str, ...] = tuple(METRICS),
    csv: Path | None = None,
    json: Path | None = None,
    workers: int | None = None,
) -> None:
    """Evaluate a folder of predicted masks against a folder of ground truths.

    Files are matched by stem and have to be of one size. Subfolders of the same name on both sides (DIS-VD, DIS-TE1,
    ...; in DIS5K's own layout too) are evaluated one by one and together, as are DIS5K's groups of objects.

    Args:
        pred: Folder of predictions.
        gt: Folder of ground truths.
        metrics: Which to compute; the fewer, the faster.
        csv: File to write with a row an image.
        json: File to write with all averages and images.
        workers: Processes; by default one a core, 16 at most.
    """
    Evaluator(metrics)  # refuses unknown names before anything is read
    for path in filter(None, (csv, json)):
        check_writable(path)
    subsets = find_subsets(pred, gt)
    if missing := set() if WHOLE in subsets else set(subset_folders(gt)) - set(subsets):
        print(f"not evaluated, for want of predictions: {', '.join(sorted(missing))}", file=sys.stderr)
    results = _measure(subsets, metrics, workers)
    if csv:
        write_whole(csv, csv_text(results))
    if json:
        write_whole(json, json_text(results))
    console = Console()
    console.print(screen_table("subset", by_subset(results)))
    if groups := by_group(results):
        console.print(screen_table("group", groups))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1 after an error, 130 when interrupted."""
    try:
        tyro.cli(evaluate, args=arguments, prog="python -m dismetrics")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenProcessPool:
        print("error: a worker ended abruptly, perhaps for want of memory: try fewer --workers", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _measure(subsets: dict[str, list[Match]], metrics: tuple[str, ...], workers: int | None) -> list[Result]:
    places = [(subset, match) for subset, matches in subsets.items() for match in matches]
    # Two subsets may have files of one stem; an evaluator counts a name once.
    matches = [match._replace(name=f"{subset}/{match.name}") for subset, match in places]
    results, unreadable = [], []
    console = Console(stderr=True)
    measured = track(
        evaluate_files(matches, metrics, workers),
        "evaluating",
        len(matches),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    for (subset, match), outcome in zip(places, measured, strict=True):
        if isinstance(outcome, Evaluator):
            results.append(Result(subset, match.name, outcome))
        else:
            unreadable.append(str(outcome))
    if unreadable:
        raise ValueError(shortened(unreadable, "\n"))
    return results


if __name__ == "__main__":
    sys.exit(main())
