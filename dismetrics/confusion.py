"""Pixels counted by prediction and truth: what IoU, Dice and the rates are functions of."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dismetrics.pairs import Count, Images, Pair, for_each_image


class Confusion(NamedTuple):
    """Numbers of true and false positives, true and false negatives: integers, or int64 arrays of one shape."""

    tp: Count
    fp: Count
    tn: Count
    fn: Count

    @property
    def size(self) -> Count:
        """Number of all pixels."""
        return self.tp + self.fp + self.tn + self.fn


def confusion(pred: Images, gt: Images) -> Confusion:
    """Count the pixels of two masks by prediction and truth.

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch. A pixel counts above 128 of 255; the
            prediction is not stretched.
        gt: bool, or uint8 and true above 128; same shape.

    Returns:
        Integers; int64 (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.
    """
    return for_each_image(_of_masks, pred, gt)


def confusion_at_thresholds(pair: Pair) -> Confusion:
    """Counts at the 256 thresholds from the highest down, at the adaptive and at the binary one: int64 (258,)."""
    tp, fp = map(np.hstack, zip(pair.positives, pair.adaptive_positives, pair.binary_positives, strict=True))
    return _of_positives(tp, fp, pair)


def ratio(numerator: Any, denominator: Any) -> NDArray[np.float64]:
    """Quotient of numbers or arrays, 0 where the denominator is."""
    return np.asarray(numerator / np.where(denominator == 0, 1, denominator) * (denominator != 0))


def _of_masks(pair: Pair) -> Confusion:
    found = pair.mask
    tp = int(np.count_nonzero(found & pair.truth))
    return _of_positives(tp, int(np.count_nonzero(found)) - tp, pair)


def _of_positives(tp: Any, fp: Any, pair: Pair) -> Confusion:
    return Confusion(tp, fp, pair.size - pair.foreground - fp, pair.foreground - tp)
