"""Evaluation of pairs of files, in several processes."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2

from dismetrics.evaluate import Evaluator
from dismetrics.files import ImageFileError, Match, read_gray

# A 4K pair takes most of a gigabyte while it is measured; Windows waits for no more than 61 processes.
_DEFAULT_WORKERS, _MOST_WORKERS = 16, 61


def evaluate_file(match: Match, metrics: Sequence[str]) -> Evaluator | ImageFileError:
    """Evaluate one pair of files: an evaluator that has counted it, or why a file cannot be read."""
    evaluator = Evaluator(metrics)
    try:
        evaluator.update(read_gray(match.first), read_gray(match.second), match.name)
    except ImageFileError as error:
        return error
    return evaluator


def evaluate_files(
    matches: Sequence[Match], metrics: Sequence[str], workers: int | None = None
) -> Iterator[Evaluator | ImageFileError]:
    """Evaluate pairs of files.

    Args:
        matches: predictions and ground truths.
        metrics: names out of `METRICS`.
        workers: number of processes; None: one a core, 16 at most; 1: this process itself.

    Yields:
        What `evaluate_file` gives for each match, in their order.

    Raises:
        ValueError: `workers` below 1.
        concurrent.futures.process.BrokenProcessPool: a worker ended abruptly, mostly for want of memory.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers: expected a number >= 1, got {workers}")
    workers = min(workers or min(os.cpu_count() or 1, _DEFAULT_WORKERS), len(matches), _MOST_WORKERS)
    if workers <= 1:
        yield from (evaluate_file(match, metrics) for match in matches)
        return
    # Spawned, not forked: OpenCV and torch may hold threads that do not survive a fork.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), cv2.setNumThreads, (1,))
    try:
        for future in [pool.submit(evaluate_file, match, metrics) for match in matches]:
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
