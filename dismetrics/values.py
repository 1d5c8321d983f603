"""The values of a prediction, counted by truth and quadrant: as grey levels, or in blocks of floats.

Both classes have the same methods, and neither keeps a float for each pixel.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from dislayers import joint_histogram
from dismetrics.spread import Spread

# Floats that are read at once: they should fit a core's second-level cache.
BLOCK = 1 << 15
Part = tuple[slice, slice]


class GreyLevels:
    """A prediction in 256 grey levels: a joint histogram of each quadrant tells everything.

    Args:
        levels: uint8 (H, W).
        truth: bool (H, W).
        quadrants: upper left, upper right, lower left, lower right.
        limits: the levels that become 0 and 1 when normalised.
    """

    def __init__(
        self, levels: NDArray[np.uint8], truth: NDArray[np.bool_], quadrants: list[Part], limits: tuple[float, float]
    ) -> None:
        self._levels = levels
        pred, gt = torch.from_numpy(levels), torch.from_numpy(truth)
        self._counts = torch.stack([joint_histogram(pred[part], gt[part]) for part in quadrants]).numpy()
        self._total = self._counts.sum(0)
        low, high = map(int, limits)
        values = np.arange(256) / 255
        # What each level is when normalised; those that do not occur are clipped to [0, 1].
        self._values = _stretch(values, values[low], values[high]).clip(0, 1)

    def normalized(self) -> NDArray[np.float64]:
        """All values stretched to [0, 1], float64 (H, W)."""
        return np.asarray(self._values[self._levels])

    def steps(self) -> NDArray[np.uint8]:
        """All normalised values in 256 steps, uint8 (H, W)."""
        return np.asarray(cv2.LUT(self._levels, _quantize(self._values)), np.uint8)

    @cached_property
    def histogram(self) -> NDArray[np.int64]:
        """Pixels by truth and by normalised value in 256 steps, int64 (2, 256)."""
        steps = _quantize(self._values)
        return np.stack([np.bincount(steps, counts, 256) for counts in self._total]).astype(np.int64)

    @cached_property
    def spread(self) -> Spread:
        """Of the normalised values by quadrant and truth, arrays (4, 2)."""
        values = np.broadcast_to(self._values, self._counts.shape)
        return Spread(self._counts, values, np.zeros_like(values)).pooled(-1)

    def at_least(self, thresholds: Sequence[float]) -> NDArray[np.int64]:
        """Pixels by threshold and truth whose normalised value reaches the threshold, int64 (len(thresholds), 2)."""
        return np.stack([self._total[:, self._values >= threshold].sum(1) for threshold in thresholds])


class RealValues:
    """A prediction of any floats.

    Args:
        values: floats (H, W).
        truth: bool (H, W).
        quadrants: upper left, upper right, lower left, lower right.
        limits: the values that become 0 and 1 when normalised.
    """

    def __init__(
        self, values: NDArray[Any], truth: NDArray[np.bool_], quadrants: list[Part], limits: tuple[float, float]
    ) -> None:
        self._values = values
        self._truth = truth
        self._quadrants = quadrants
        self._limits = limits

    def normalized(self) -> NDArray[np.float64]:
        """All values stretched to [0, 1], float64 (H, W)."""
        return _stretch(self._values.astype(np.float64), *self._limits)

    def steps(self) -> NDArray[np.uint8]:
        """All normalised values in 256 steps, uint8 (H, W)."""
        return np.concatenate([_quantize(values) for values, _ in self._blocks((slice(None), slice(None)))])

    @property
    def histogram(self) -> NDArray[np.int64]:
        """Pixels by truth and by normalised value in 256 steps, int64 (2, 256)."""
        return self._counted[0]

    @property
    def spread(self) -> Spread:
        """Of the normalised values by quadrant and truth, arrays (4, 2)."""
        return self._counted[1]

    def at_least(self, thresholds: Sequence[float]) -> NDArray[np.int64]:
        """Pixels by threshold and truth whose normalised value reaches the threshold, int64 (len(thresholds), 2)."""
        result = np.zeros((len(thresholds), 2), np.int64)
        for values, truth in chain.from_iterable(map(self._blocks, self._quadrants)):
            for i, threshold in enumerate(thresholds):
                found = values >= threshold
                true = np.count_nonzero(found & truth)
                result[i] += np.count_nonzero(found) - true, true
        return result

    @cached_property
    def _counted(self) -> tuple[NDArray[np.int64], Spread]:
        """The histogram and the spread, from one pass over the blocks."""
        histogram, spreads = torch.zeros(2, 256, dtype=torch.int64), []
        for part in self._quadrants:
            of_blocks = [(Spread.of(np.zeros(0)),) * 2]
            for values, truth in self._blocks(part):
                histogram += joint_histogram(torch.from_numpy(values), torch.from_numpy(truth))
                of_blocks.append((Spread.of(values[~truth]), Spread.of(values[truth])))
            spreads.append(Spread(*np.moveaxis(np.array(of_blocks), -1, 0)).pooled(0))
        return histogram.numpy(), Spread(*map(np.stack, zip(*spreads, strict=True)))

    def _blocks(self, part: Part) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
        """Normalised values and truths of a part, some rows at once."""
        values, truth = self._values[part], self._truth[part]
        rows = max(BLOCK // max(values.shape[1], 1), 1)
        for row in range(0, values.shape[0] if values.size else 0, rows):
            block = values[row : row + rows].astype(np.float64)
            yield _stretch(block, *self._limits), truth[row : row + rows]


def read(
    values: NDArray[Any], truth: NDArray[np.bool_], quadrants: list[Part], limits: tuple[float, float]
) -> GreyLevels | RealValues:
    """Count a prediction as `as_levels` gives it."""
    return (GreyLevels if values.dtype == np.uint8 else RealValues)(values, truth, quadrants, limits)


def as_levels(values: NDArray[Any]) -> NDArray[Any]:
    """The grey levels of floats that are all a level / 255 in their own precision; all else as it is."""
    if values.dtype == np.uint8:
        return values
    quotients = np.arange(256, dtype=values.dtype) / values.dtype.type(255)
    result, flat = np.empty(values.size, np.uint8), values.ravel()
    for start in range(0, flat.size, BLOCK):
        block = flat[start : start + BLOCK]
        levels = np.rint(block * 255).astype(np.uint8)
        if not np.array_equal(quotients[levels], block):
            return values
        result[start : start + BLOCK] = levels
    return result.reshape(values.shape)


def _stretch(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    return (values - low) / (high - low) if high > low else values


def _quantize(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    # Truncating is the official rule; it moves some values that float64 puts just below a step one step down.
    return (values * 255).astype(np.uint8)
