"""A prediction with its ground truth: the checks of every metric's inputs, and the counts that metrics share.

Predictions are uint8 in [0, 255], bool, or floats in [0, 1]; a float x means what 255 x means as uint8, unrounded. An
image of floats that are all grey levels / 255, in their own precision, is read as these levels.
Truths are bool, or uint8 and true above 128; a uint8 truth without any value above 1 is read as stored in 0 and 1.
"""

from collections.abc import Callable
from functools import cached_property
from itertools import product
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from dislayers import moments
from dismetrics.spread import Spread
from dismetrics.values import GreyLevels, RealValues, as_levels, read

Images = NDArray[Any] | torch.Tensor
Score = float | NDArray[np.float64]
Count = int | NDArray[np.int64]
Result = TypeVar("Result")

# Spacing of float64 at 1: the term with which the official code keeps its denominators from zero.
EPSILON = float(np.spacing(1.0))

# More than the rounding of a mean, less than the distance of two numbers that are not meant to be equal.
TIE = 1e-12


class Pair:
    """One prediction and its ground truth; what several metrics need is computed once, on first use.

    Args:
        prediction: uint8, or floats in [0, 1], (H, W).
        truth: bool (H, W).
        normalize: stretch the prediction to [0, 1] by its own minimum and maximum, a constant one excepted.

    Attributes:
        skeleton: the truth's, bool (H, W), where it is known beforehand.
    """

    def __init__(self, prediction: NDArray[Any], truth: NDArray[np.bool_], normalize: bool = True) -> None:
        self.prediction = prediction
        self.truth = truth
        self.normalize = normalize
        self.size = truth.size
        self.foreground = int(np.count_nonzero(truth))
        self.skeleton: NDArray[np.bool_] | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The prediction as a mask: above 128 of 255, without normalising (HCE)."""
        # NumPy compares in the prediction's own precision: 128 / 255 in float32 is not above 128 / 255 in float64.
        threshold = 128 if self.prediction.dtype == np.uint8 else 128 / 255
        return np.asarray(self.prediction > threshold)

    @cached_property
    def values(self) -> NDArray[Any]:
        """The prediction as metrics of its values read it: uint8 where its floats are grey levels."""
        return as_levels(self.prediction)

    @cached_property
    def limits(self) -> tuple[float, float]:
        """Those of the values that become 0 and 1 when normalised; if they are equal, values stay as they are."""
        if self.normalize:
            return float(self.values.min()), float(self.values.max())
        return 0.0, 255.0 if self.values.dtype == np.uint8 else 1.0

    @cached_property
    def normalized(self) -> NDArray[np.float64]:
        """The prediction in [0, 1], float64 (H, W); a constant one is not stretched."""
        return self._values.normalized()

    @property
    def steps(self) -> NDArray[np.uint8]:
        """The normalised prediction in 256 steps, truncated: uint8 (H, W)."""
        return self._values.steps()

    @property
    def histogram(self) -> NDArray[np.int64]:
        """Pixels by truth (false, true) and by normalised prediction in 256 steps: int64 (2, 256)."""
        return self._values.histogram

    @property
    def spread(self) -> Spread:
        """Of the normalised prediction in the quadrants around the truth's centroid by truth: arrays (4, 2)."""
        return self._values.spread

    @cached_property
    def positives(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """True and false positives at the 256 thresholds, from the highest down: two int64 (256,)."""
        false, true = np.cumsum(self.histogram[:, ::-1], axis=1)
        return true, false

    @cached_property
    def adaptive_positives(self) -> tuple[int, int]:
        """True and false positives at the adaptive threshold: twice the mean of the prediction, at most 1."""
        threshold = 2 * self.spread.pooled().mean
        below, found, above = self._values.at_least([min(threshold + noise, 1) for noise in (-TIE, 0, TIE)])
        if threshold and (below != above).any():
            # A value is the threshold but for rounding, so that the official code's own rounding decides.
            found = self._values.at_least([min(2 * self.normalized.mean(), 1)])[0]
        false, true = found
        return int(true), int(false)

    @cached_property
    def binary_positives(self) -> tuple[int, int]:
        """True and false positives where the normalised prediction is above one half."""
        ((false, true),) = self._values.at_least([float(np.nextafter(0.5, 1))])
        return int(true), int(false)

    @cached_property
    def _values(self) -> GreyLevels | RealValues:
        return read(self.values, self.truth, self._quadrants(), self.limits)

    def _quadrants(self) -> list[tuple[slice, slice]]:
        """Upper left, upper right, lower left and lower right of the truth's centroid, which is rounded half to even.

        The centroid's row and column belong to the upper and left ones. All pixels do if there is no centroid.
        """
        count, rows, columns = moments(torch.from_numpy(self.truth)).tolist()
        row, column = (round(total / count) + 1 for total in (rows, columns)) if count else self.truth.shape
        halves = (slice(row), slice(row, None)), (slice(column), slice(column, None))
        return list(product(*halves))


def for_each_image(measure: Callable[[Pair], Result], pred: Images, gt: Images, normalize: bool = True) -> Result:
    """Apply a measure to one image, or to each of a batch.

    Args:
        measure: takes a pair, gives a number or a named tuple of numbers and arrays.
        pred: as the module says, (H, W) or (B, H, W), NumPy or torch on any device.
        gt: bool or uint8, of the same shape.
        normalize: as in `Pair`.

    Returns:
        (H, W): the measure's own result. (B, H, W): the same with one more axis, B, first.

    Raises:
        TypeError: a dtype that is not of the module's.
        ValueError: shapes that differ or are empty or not 2D or 3D; floats out of [0, 1] or not finite.
    """
    results = [measure(pair) for pair in pairs(pred, gt, normalize)]
    if pred.ndim == 2:
        return results[0]
    if isinstance(results[0], tuple):
        return type(results[0])(*map(np.array, zip(*results, strict=True)))
    return np.array(results)  # type: ignore[return-value]


def pairs(pred: Images, gt: Images, normalize: bool = True) -> list[Pair]:
    """Check one image or a batch, and give its pairs; arguments and errors as `for_each_image`."""
    predictions, truths = _predictions(_as_array(pred, "pred")), _as_array(gt, "gt")
    if truths.dtype not in (np.bool_, np.uint8):
        raise TypeError(f"gt: expected bool or uint8, got {truths.dtype}")
    if predictions.shape != truths.shape:
        raise ValueError(f"pred and gt: expected one shape, got {predictions.shape} and {truths.shape}")
    if predictions.ndim not in (2, 3) or not predictions.size:
        raise ValueError(f"pred and gt: expected (H, W) or (B, H, W) and at least a pixel, got {predictions.shape}")
    if predictions.ndim == 2:
        return [Pair(predictions, _truth(truths), normalize)]
    return [Pair(prediction, _truth(truth), normalize) for prediction, truth in zip(predictions, truths, strict=True)]


def _as_array(images: Images, name: str) -> NDArray[Any]:
    if isinstance(images, torch.Tensor):
        images = images.detach().cpu()
        images = (images.float() if images.dtype == torch.bfloat16 else images).numpy()
    if not isinstance(images, np.ndarray):
        raise TypeError(f"{name}: expected a NumPy array or a torch tensor, got {type(images).__name__}")
    # One order in memory, so that sums are rounded the same whatever the strides; writable and without negative strides
    # (NumPy calls those of a single row contiguous), as PyTorch asks of arrays.
    array = np.require(images if min(images.strides, default=0) >= 0 else images.copy(), requirements=["C", "W"])
    # Bytes viewed as bool may be 255, which NumPy adds up as 255.
    return array.view(np.uint8) != 0 if array.dtype == np.bool_ else array


def _predictions(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype == np.bool_:
        return values.view(np.uint8) * np.uint8(255)
    if values.dtype == np.uint8:
        return values
    if not np.issubdtype(values.dtype, np.floating):
        raise TypeError(f"pred: expected floats in [0, 1], uint8 or bool, got {values.dtype}")
    low, high = values.min(initial=1), values.max(initial=0)
    if not (low >= 0 and high <= 1):  # so written, it refuses NaN
        raise ValueError(f"pred: expected floats in [0, 1], got values from {low:g} to {high:g}")
    return values


def _truth(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype == np.bool_:
        return values
    return np.asarray(values > (128 if values.max() > 1 else 0))
