"""The evaluator as a metric of torchmetrics, for those who train with it: an optional extra."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from dismetrics.evaluate import Evaluator, Record
from dismetrics.pairs import Images

try:
    from torchmetrics import Metric
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "dismetrics.torchmetrics needs torchmetrics; install it with: pip install 'dislayers[torchmetrics]'",
        name=missing.name,
    ) from missing


class EvaluatorMetric(Metric):  # type: ignore[misc]  # it need not be installed
    """`dismetrics.Evaluator` as a `torchmetrics.Metric`: `compute` gives the averages by key.

    Processes are gathered exactly, and a named image counts once however often it was repeated.

    Args:
        metrics: as in `Evaluator`.
        normalize: as in `Evaluator`.
        options: as in `torchmetrics.Metric`.

    Raises:
        ValueError: an unknown or no metric.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    records: list[torch.Tensor]

    def __init__(self, metrics: Literal["all"] | Sequence[str] = "all", normalize: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self._metrics = Evaluator(metrics).metrics
        self._normalize = normalize
        # Bytes of one JSON line an image: torchmetrics gathers tensors of any length, but neither names nor objects.
        self.add_state("records", [], dist_reduce_fx="cat")
        self._add_bytes(b"")

    def update(self, pred: Images, gt: Images, name: str | Sequence[str] | None = None) -> None:
        """Count an image or a batch; arguments and errors as `Evaluator.update`."""
        evaluator = Evaluator(self._metrics, normalize=self._normalize)
        evaluator.update(pred, gt, name)
        self._add_bytes(b"".join(record.to_json().encode() + b"\n" for record in evaluator.records))

    def compute(self) -> dict[str, float]:
        """Average over all images, as `Evaluator.compute`."""
        return self.evaluator().compute()

    def evaluator(self) -> Evaluator:
        """What was counted so far, as an `Evaluator`."""
        evaluator = Evaluator(self._metrics, normalize=self._normalize)
        # Once gathered, torchmetrics has put the list together to one tensor.
        parts = [self.records] if isinstance(self.records, torch.Tensor) else self.records
        for part in parts:
            for line in part.cpu().numpy().tobytes().splitlines():
                evaluator.add(Record.from_json(line))
        return evaluator

    def reset(self) -> None:
        """Forget all images."""
        super().reset()
        self._add_bytes(b"")

    def _add_bytes(self, content: bytes) -> None:
        # Without an image there is a tensor too: torchmetrics would gather floats from a process that has none.
        self.records.append(torch.from_numpy(np.frombuffer(content, np.uint8).copy()).to(self.device))
