"""How everything here is timed: on a GPU until it is idle, in rounds long enough for the clock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"

# Seconds: of a round at least, of a whole benchmark about.
_ROUND = 2e-3
_BENCHMARK = 0.5


def clock() -> float:
    """Seconds, read when the GPU has done all it was given."""
    if GPU:
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(benchmark: BenchmarkFixture, work: Callable[[], object]) -> None:
    """Time ``work`` after a warm-up.

    Calls of a round follow each other without a pause, so that on a GPU launches hide behind the work, as in a model.
    ``extra_info`` gets the peak of GPU memory in GiB.
    """
    for _ in range(3 if GPU else 1):
        work()
    started = clock()
    work()
    once = max(clock() - started, 1e-9)
    iterations = math.ceil(_ROUND / once)
    rounds = min(max(int(_BENCHMARK / (once * iterations)), 5), 20)
    if GPU:
        torch.cuda.reset_peak_memory_stats()
    benchmark.pedantic(work, rounds=rounds, iterations=iterations)
    if GPU:
        benchmark.extra_info["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 3)


def kept_for_backward(work: Callable[[], Tensor], inputs: Iterable[Tensor]) -> float:
    """MB that one call leaves to its backward, the inputs left out."""
    kept = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = work()
    for given in inputs:
        kept.pop(given.untyped_storage().data_ptr(), None)
    del result
    return round(sum(kept.values()) / 1e6, 3)
