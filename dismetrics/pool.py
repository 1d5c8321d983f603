"""Evaluation of files in threads: decoding and kernels release the interpreter, so images run side by side."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import torch

from dismetrics.evaluate import Record, measure
from dismetrics.files import ImageFileError, read_gray
from dismetrics.pairs import pairs

# Each worker holds one pair at a time: 16 of 4K take a few gigabytes.
_DEFAULT_WORKERS = 16
Outcome = Record | ImageFileError


class Task(NamedTuple):
    """A ground truth, and one or several methods' predictions of it."""

    subset: str
    name: str
    truth: Path
    predictions: tuple[Path, ...]

    @property
    def key(self) -> str:
        """The name that an `Evaluator` counts once: two subsets may have files of one stem."""
        return f"{self.subset}/{self.name}"


def evaluate_task(task: Task, metrics: Sequence[str]) -> list[Outcome]:
    """Measure each prediction of a task, or say why a file cannot be read; the truth is decoded once."""
    outcomes: list[Outcome] = []
    try:
        truth = read_gray(task.truth)
    except ImageFileError as error:
        return [error] * len(task.predictions)
    for path in task.predictions:
        try:
            (pair,) = pairs(read_gray(path), truth)
        except ImageFileError as error:
            outcomes.append(error)
        else:
            outcomes.append(measure(task.key, pair, metrics))
    return outcomes


def evaluate_files(
    tasks: Sequence[Task], metrics: Sequence[str], workers: int | None = None
) -> Iterator[list[Outcome]]:
    """Evaluate files, one task a thread at a time.

    Args:
        tasks: ground truths with their predictions.
        metrics: names out of `METRICS`.
        workers: number of threads; None: one a core, 16 at most.

    Yields:
        What `evaluate_task` gives for each task, in their order.

    Raises:
        ValueError: `workers` below 1.

    Numerics: the same bits whatever the number of threads.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers: expected a number >= 1, got {workers}")
    workers = workers or min(os.cpu_count() or 1, _DEFAULT_WORKERS)
    with _one_thread_a_kernel():
        pool = ThreadPoolExecutor(workers, "evaluate", torch.set_num_threads, (1,))
        try:
            for future in [pool.submit(evaluate_task, task, metrics) for task in tasks]:
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_a_kernel() -> Iterator[None]:
    """Restore the numbers of threads that workers set: OpenCV has one for all, PyTorch one for threads to come."""
    torch_threads, opencv_threads = torch.get_num_threads(), cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(opencv_threads)
        torch.set_num_threads(torch_threads)
