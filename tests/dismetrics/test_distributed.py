"""Evaluation in two processes: gathered exactly, no image counted twice, in plain PyTorch and in torchmetrics."""

import importlib.util
import pickle

import numpy as np
import pytest
import torch.distributed as dist
import torch.multiprocessing as mp

from dismetrics import Evaluator
from dismetrics.distributed import all_gather

METRICS = ("f_measure", "s_measure", "mean_absolute_error")
NAMES = [f"image {number}" for number in range(5)]
# Of each process: as a sampler fills up, the second has an image of the first; then it has none at all.
SHARES = (([0, 1, 2], [3, 4, 0]), ([0, 1, 2, 3, 4], []))
PROCESSES = 2
TORCHMETRICS = importlib.util.find_spec("torchmetrics") is not None


def images(number):
    random = np.random.default_rng(number)
    return random.integers(0, 256, (9, 11), dtype=np.uint8), random.random((9, 11)) < 0.4


def count(counter, numbers):
    for number in numbers:
        counter.update(*images(number), NAMES[number])
    return counter


def gathered(rank, shares):
    own = count(Evaluator(METRICS), shares[rank])
    whole = all_gather(own)
    results = {"own": len(own), "evaluator": whole.compute(), "names": [row["name"] for row in whole.table()]}
    if TORCHMETRICS:
        from dismetrics.torchmetrics import EvaluatorMetric

        metric = count(EvaluatorMetric(METRICS), shares[rank])
        results["torchmetrics"] = [metric.compute()]
        metric.update(*images(7), f"of rank {rank}")  # goes on after having been gathered
        results["torchmetrics"].append(metric.compute())
    return results


def work(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=PROCESSES)
    results = [gathered(rank, shares) for shares in SHARES]
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps(results))
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_gloo_available(), reason="no gloo")
def test_every_process_gets_what_one_alone_would_have_counted(tmp_path):
    mp.spawn(work, (tmp_path,), nprocs=PROCESSES)
    alone = count(Evaluator(METRICS), range(5))
    more = count(Evaluator(METRICS), range(5))
    for rank in range(PROCESSES):
        more.update(*images(7), f"of rank {rank}")
    for rank in range(PROCESSES):
        for shares, results in zip(SHARES, pickle.loads((tmp_path / f"{rank}.pickle").read_bytes()), strict=True):
            assert results["own"] == len(shares[rank])
            assert results["evaluator"] == alone.compute()
            assert results["names"] == NAMES
            assert results.get("torchmetrics", [alone.compute(), more.compute()]) == [alone.compute(), more.compute()]
