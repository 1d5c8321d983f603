"""Means and variances of groups of pixels."""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class Spread(NamedTuple):
    """How values in [0, 1] spread in groups of pixels; arrays with an element a group, or numbers for one group.

    Attributes:
        count: pixels of a group.
        mean: of their values, float64.
        squares: the sum of their squared deviations from the mean, float64; exactly 0 where all are equal.
    """

    count: Any
    mean: Any
    squares: Any

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Self:
        """All values of an array as one group."""
        if not values.size:
            return cls(0, 0.0, 0.0)
        # Shifted by one of the values, those of a constant array are exactly 0.
        shifted = values - values.flat[0]
        mean = shifted.mean()
        shifted -= mean
        return cls(values.size, values.flat[0] + mean, np.vdot(shifted, shifted))

    def pooled(self, axis: int | tuple[int, ...] | None = None) -> Self:
        """The groups along some axes as one group, by default all; without pixels its mean is 0."""
        count = np.sum(self.count, axis, keepdims=True)
        origin = np.max(self.mean, axis, where=self.count > 0, initial=0, keepdims=True)
        mean = origin + np.sum(self.count * (self.mean - origin), axis, keepdims=True) / np.maximum(count, 1)
        squares = np.sum(self.squares + self.count * (self.mean - mean) ** 2, axis, keepdims=True)
        return type(self)(*(np.squeeze(x, axis) for x in (count, mean, squares)))
