"""Evaluation in several processes of torch.distributed."""

import torch.distributed as dist

from dismetrics.evaluate import Evaluator


def all_gather(evaluator: Evaluator, group: dist.ProcessGroup | None = None) -> Evaluator:
    """Gather what every process has counted: each gets an evaluator of the whole set.

    Images should have names: a `DistributedSampler` repeats some to fill up, and only a named image counts once.

    Args:
        evaluator: this process's own, of the same metrics everywhere; it stays as it is, and may be empty.
        group: processes; None: all.

    Raises:
        ValueError: evaluators of different metrics; or torch.distributed has not been initialised.

    Numerics: exact; the averages are those of one process that counts everything.
    """
    gathered: list[Evaluator | None] = [None] * dist.get_world_size(group)
    dist.all_gather_object(gathered, evaluator, group)
    merged = Evaluator(evaluator.metrics, evaluator.device, evaluator.normalize)
    for part in gathered:
        if part is not None:
            merged.merge(part)
    return merged
