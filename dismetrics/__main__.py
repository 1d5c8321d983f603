"""The command line: python -m dismetrics PRED GT."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from dismetrics.evaluate import Evaluator, Record
from dismetrics.evaluation.cache import Cache
from dismetrics.evaluation.columns import PRINTED, chosen_column
from dismetrics.evaluation.pool import Task, evaluate_files
from dismetrics.evaluation.subsets import WHOLE, Methods, find_methods, subset_folders
from dismetrics.files import check_writable, make_folder, write_whole
from dismetrics.registry import DIS_METRICS

try:
    import tyro
    from rich.console import Console

    from dismetrics.evaluation.command_line import refuse_unreadable, run
    from dismetrics.evaluation.progress import progress
    from dismetrics.evaluation.report import write_report
    from dismetrics.evaluation.results import Evaluation, Result, csv_text, json_text
    from dismetrics.evaluation.tables import averages, latex_table, screen_table
except ModuleNotFoundError as missing:  # an optional extra
    sys.exit(f"error: evaluation needs {missing.name}; install it with: pip install 'dislayers[cli]'")


def evaluate(
    pred: Annotated[Path, tyro.conf.arg(metavar="PRED")],
    gt: Annotated[Path, tyro.conf.arg(metavar="GT")],
    /,
    compare: tuple[Path, ...] = (),
    metrics: tuple[str, ...] = DIS_METRICS,
    csv: Path | None = None,
    json: Path | None = None,
    latex: Path | None = None,
    report: Path | None = None,
    worst: int = 8,
    worst_by: str | None = None,
    images: Path | None = None,
    cache: Path | None = None,
    workers: int | None = None,
) -> None:
    """Evaluate a folder of predicted masks against a folder of ground truths.

    Files are matched by stem and have to be of one size. Subfolders of the same name on both sides (DIS-VD, DIS-TE1,
    ...; in DIS5K's own layout too) are evaluated one by one and together, as are DIS5K's groups of objects.

    Args:
        pred: Folder of predictions.
        gt: Folder of ground truths.
        compare: Folders of other methods' predictions, to be shown beside those of PRED; the best values are bold.
        metrics: Which to compute; the fewer, the faster.
        csv: File to write with a row an image.
        json: File to write with all averages and images.
        latex: File to write with the table of subsets, for the booktabs package.
        report: Folder to write a page into: the table, histograms, and pictures of the worst predictions with the
            clicks that would correct them.
        worst: Number of predictions in the report, of each method.
        worst_by: Value that tells which are the worst; by default hce.
        images: Folder of photos for the report; by default the folders `im` beside the folders `gt`.
        cache: Folder that keeps results and skeletons of ground truths: a killed run goes on where it was, and a later
            one measures only what has changed.
        workers: Threads; by default one a core, 16 at most.
    """
    Evaluator(metrics)  # refuses unknown names before anything is read
    for path in filter(None, (csv, json, latex)):
        check_writable(path)
    chosen_column(worst_by, PRINTED)
    if images and not images.is_dir():
        raise NotADirectoryError(f"images: expected a folder of photos, got {images}")
    if report:
        make_folder(report)
    methods = find_methods([pred, *compare], gt)
    subsets = next(iter(methods.values()))
    if missing := set() if WHOLE in subsets else set(subset_folders(gt)) - set(subsets):
        print(f"not evaluated, for want of predictions: {', '.join(sorted(missing))}", file=sys.stderr)
    evaluations = _measure(methods, metrics, workers, Cache(cache) if cache else None)
    table = averages({name: evaluation.by_subset() for name, evaluation in evaluations.items()})
    groups = {name: evaluation.by_group() for name, evaluation in evaluations.items()}
    if csv:
        write_whole(csv, csv_text(evaluations))
    if json:
        write_whole(json, json_text(evaluations))
    if latex:
        write_whole(latex, latex_table(table))
    if report:
        write_report(report, evaluations, table, chosen_column(worst_by, table.columns), worst, images)
    console = Console()
    console.print(screen_table("subset", table))
    if any(groups.values()):
        console.print(screen_table("group", averages(groups)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1 after an error, 130 when interrupted."""
    return run(evaluate, "python -m dismetrics", arguments)


def _measure(
    methods: Methods, metrics: tuple[str, ...], workers: int | None, cache: Cache | None
) -> dict[str, Evaluation]:
    tasks = [task for subset in next(iter(methods.values())) for task in _tasks(methods, subset)]
    outcomes = list(progress(evaluate_files(tasks, metrics, workers, cache), len(tasks), "evaluating"))
    refuse_unreadable(one for row in outcomes for one in row)
    evaluations = {}
    for number, method in enumerate(methods):
        measured = ((task, task.predictions[number], row[number]) for task, row in zip(tasks, outcomes, strict=True))
        results = [Result(task, file, record) for task, file, record in measured if isinstance(record, Record)]
        evaluations[method] = Evaluation(metrics, results)
    return evaluations


def _tasks(methods: Methods, subset: str) -> list[Task]:
    rows = zip(*(subsets[subset] for subsets in methods.values()), strict=True)
    return [Task(subset, row[0].name, row[0].second, tuple(match.first for match in row)) for row in rows]


if __name__ == "__main__":
    sys.exit(main())
