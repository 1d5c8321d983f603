"""Metrics of a set of images: one pass over each pair, exact and mergeable sums."""

import json
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from dismetrics.pairs import Images, Pair, pairs
from dismetrics.registry import METRICS


class Record(NamedTuple):
    """What is kept of one image: its name, its values by key, and its curves over the thresholds."""

    name: str | None
    values: dict[str, float]
    curves: dict[str, NDArray[np.float64]]

    def to_json(self) -> str:
        """Write it as one line; `from_json` reads the same bits."""
        curves = {key: curve.tolist() for key, curve in self.curves.items()}
        document = {"name": self.name, "values": self.values, "curves": curves}
        return json.dumps(document, default=lambda number: number.item())

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: something else.
        """
        document = json.loads(text)
        curves = {key: np.array(curve, np.float64) for key, curve in document["curves"].items()}
        return cls(document["name"], document["values"], curves)


class Evaluator:
    """Collect metrics over a set of images.

    Keys of the results, by metric; the six that the DIS5K tables print are marked *.

        f_measure                 max_f *, mean_f, adaptive_f, binary_f
        weighted_f_measure        weighted_f *
        mean_absolute_error       mae *
        s_measure                 s *
        e_measure                 max_e, mean_e *, adaptive_e, binary_e
        human_correction_effort   hce *, hce_fp_points, hce_fp_regions, hce_fn_points, hce_fn_regions
        boundary_iou              boundary_iou
        boundary_iou_curve        max_boundary_iou, mean_boundary_iou
        mean_boundary_accuracy    mean_boundary_accuracy
        iou, dice, precision, recall, specificity, false_positive_rate (fpr), balanced_error_rate (ber),
        overall_accuracy (accuracy), kappa, multiscale_iou
                                  max_iou, mean_iou, adaptive_iou, binary_iou, and so on
        mean_squared_error        mse
        context_measure           context

    Its state is one small record an image (2 KB a curve), so it pickles, and `merge` gathers what several
    processes counted without loss. A named image counts once, whoever counted it: distributed samplers repeat some.

    Args:
        metrics: "all", or names out of `METRICS`. Only these are computed.
        device: where counting runs once a metric has a kernel there; today every metric counts on the CPU, and takes
            tensors of any device.
        normalize: stretch predictions to [0, 1] by their own minimum and maximum, as PySODMetrics and the published
            tables do, for all metrics but those of masks (human correction effort, Boundary IoU, mean boundary
            accuracy), which never do.

    Raises:
        ValueError: an unknown or no metric.
        RuntimeError: torch does not know the device.
    """

    def __init__(
        self,
        metrics: Literal["all"] | Sequence[str] = "all",
        device: torch.device | str | None = None,
        normalize: bool = True,
    ) -> None:
        chosen = tuple(METRICS) if metrics == "all" else (metrics,) if isinstance(metrics, str) else tuple(metrics)
        unknown = [name for name in chosen if name not in METRICS]
        if unknown or not chosen:
            raise ValueError(f'metrics: expected "all" or names out of {", ".join(METRICS)}, got {metrics!r}')
        self.metrics = chosen
        self.device = None if device is None else torch.device(device)
        self.normalize = normalize
        self._records: list[Record] = []
        self._names: set[str] = set()

    def __len__(self) -> int:
        return len(self._records)

    @property
    def records(self) -> tuple[Record, ...]:
        """All that is known of the images, in the order of counting."""
        return tuple(self._records)

    def update(self, pred: Images, gt: Images, name: str | Sequence[str] | None = None) -> None:
        """Count an image or a batch.

        Args:
            pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch.
            gt: bool, or uint8 and true above 128; same shape.
            name: the image's, or one for each image of a batch. A name that was counted before is passed over.

        Raises:
            TypeError, ValueError: as `dismetrics.pairs.for_each_image`.
            ValueError: a number of names other than that of images.
        """
        images = pairs(pred, gt, self.normalize)
        names = [name] if name is None or isinstance(name, str) else list(name)
        if name is None:
            names *= len(images)
        if len(names) != len(images):
            raise ValueError(f"name: expected {len(images)} names, one an image, got {len(names)}")
        for image, own_name in zip(images, names, strict=True):
            if own_name not in self._names:
                self.add(measure(own_name, image, self.metrics))

    def add(self, record: Record) -> None:
        """Count what `measure` found with the metrics of this evaluator; a name that was counted is passed over."""
        if record.name is not None:
            if record.name in self._names:
                return
            self._names.add(record.name)
        self._records.append(record)

    def merge(self, other: "Evaluator") -> Self:
        """Add what another evaluator has counted, without the named images that this one has; returns this one.

        Raises:
            ValueError: it has other metrics, or normalises otherwise.
        """
        if set(other.metrics) != set(self.metrics):
            raise ValueError(f"other: expected an evaluator of {self.metrics}, got one of {other.metrics}")
        if other.normalize != self.normalize:
            raise ValueError(f"other: expected an evaluator with normalize={self.normalize}, got {other.normalize}")
        for record in other.records:
            self.add(record)
        return self

    def reset(self) -> None:
        """Forget all images."""
        self._records.clear()
        self._names.clear()

    def compute(self, maximum: Literal["set", "image"] = "set") -> dict[str, float]:
        """Average over all images, by key.

        An image without a value (NaN of `s_measure`, `boundary_iou` or `mean_boundary_accuracy`) makes the average NaN.

        Args:
            maximum: "set", the greatest value of the curve averaged over the images, at one threshold for all, as in
                PySODMetrics and the published DIS tables; or "image", the average of each image's own maximum.

        Raises:
            ValueError: no image has been counted, or another `maximum`.

        Numerics: sums are exact, so order, batches and processes do not change a bit of the result.
        """
        if not self._records:
            raise ValueError("compute: no image has been counted")
        if maximum not in ("set", "image"):
            raise ValueError(f'maximum: expected "set" or "image", got {maximum!r}')
        averages = {key: _average([record.values[key] for record in self._records]) for key in self._records[0].values}
        if maximum == "set":
            averages |= {f"max_{key}": max(curve) for key, curve in self.curves().items()}
        return averages

    def curves(self) -> dict[str, list[float]]:
        """Curves over the 256 thresholds, from the highest down, averaged over all images, by key."""
        keys = self._records[0].curves if self._records else ()
        return {
            key: [_average(column) for column in zip(*(record.curves[key] for record in self._records), strict=True)]
            for key in keys
        }

    def table(self) -> list[dict[str, str | float | None]]:
        """One row an image, in the order of counting: its name, and its own values by key."""
        return [{"name": record.name, **record.values} for record in self._records]


def measure(name: str | None, image: Pair, metrics: Sequence[str]) -> Record:
    """Measure one image.

    Args:
        name: the image's, None for one that shall count whatever else has counted.
        image: prediction and ground truth.
        metrics: names out of `METRICS`.
    """
    values: dict[str, float] = {}
    curves: dict[str, NDArray[np.float64]] = {}
    for metric in metrics:
        for key, value in METRICS[metric](image).items():
            (curves if isinstance(value, np.ndarray) else values)[key] = value
    return Record(name, values, curves)


def _average(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
