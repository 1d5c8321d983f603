"""Work on files in threads: decoding and kernels release the interpreter, so images run side by side."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from dismetrics.evaluate import Record, measure
from dismetrics.evaluation.cache import Cache
from dismetrics.files import ImageFileError, read_gray
from dismetrics.pairs import pairs

# Each worker holds one pair at a time: 16 of 4K take a few gigabytes.
_DEFAULT_WORKERS = 16
Outcome = Record | ImageFileError
Item = TypeVar("Item")
Done = TypeVar("Done")


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


def evaluate_task(task: Task, metrics: Sequence[str], cache: Cache | None = None) -> list[Outcome]:
    """Measure each prediction of a task, or say why a file cannot be read; the truth is decoded at most once."""
    truth = lru_cache(lambda: read_gray(task.truth))
    outcomes: list[Outcome] = []
    for path in task.predictions:
        compute = partial(_measure, task, path, truth, metrics, cache)
        try:
            outcomes.append(cache.record(task.key, path, task.truth, metrics, compute) if cache else compute())
        except ImageFileError as error:
            outcomes.append(error)
    return outcomes


def _measure(
    task: Task, path: Path, truth: Callable[[], NDArray[np.uint8]], metrics: Sequence[str], cache: Cache | None
) -> Record:
    (pair,) = pairs(read_gray(path), truth())
    if cache and "human_correction_effort" in metrics:
        pair.skeleton = cache.skeleton(task.truth, pair.truth)
    return measure(task.key, pair, metrics)


def evaluate_files(
    tasks: Sequence[Task], metrics: Sequence[str], workers: int | None = None, cache: Cache | None = None
) -> Iterator[list[Outcome]]:
    """Evaluate files, one task a thread at a time.

    Args:
        tasks: ground truths with their predictions.
        metrics: names out of `METRICS`.
        workers: number of threads; None: one a core, 16 at most.
        cache: where results and skeletons are kept; None: nowhere.

    Yields:
        What `evaluate_task` gives for each task, in their order.

    Raises:
        ValueError: `workers` below 1.

    Numerics: the same bits whatever the number of threads.
    """
    return in_threads(partial(evaluate_task, metrics=metrics, cache=cache), tasks, workers)


def in_threads(work: Callable[[Item], Done], items: Iterable[Item], workers: int | None = None) -> Iterator[Done]:
    """Do the work for each item, in threads whose kernels and OpenCV calls run on one thread each.

    Args:
        work: takes an item; called from several threads.
        items: all are queued before the first is done.
        workers: number of threads; None: one a core, 16 at most.

    Yields:
        What `work` gives for each item, in their order.

    Raises:
        ValueError: `workers` below 1.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers: expected a number >= 1, got {workers}")
    workers = workers or min(os.cpu_count() or 1, _DEFAULT_WORKERS)
    with _one_thread_a_kernel():
        pool = ThreadPoolExecutor(workers, "evaluate", torch.set_num_threads, (1,))
        try:
            for future in [pool.submit(work, item) for item in items]:
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
