"""Mean boundary accuracy (mBA)."""

import math

import numpy as np
from numpy.typing import NDArray

from dismetrics.pairs import Images, Pair, Score, for_each_image

Words = NDArray[np.uint64]


def mean_boundary_accuracy(pred: Images, gt: Images) -> Score:
    """Share of right pixels around the boundary of the truth, averaged over five widths; higher is better.

    mBA = 1/5 sum over r of |P = G within R(r)| / |R(r)|, where R(r) has the pixels of which a disk of radius r holds
    both true and false pixels of the truth, and r = 1 + trunc(i/5 ((H + W) / 300 - 1)) for i = 0 ... 4.

    Papers print the average over the images of a set (CascadePSP, BiRefNet: mBA).

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch. A pixel counts above 128 of 255; the
            prediction is not stretched.
        gt: bool, or uint8 and true above 128; same shape.

    Returns:
        In [0, 1], NaN if the truth has no boundary: a float, or float64 (B,) for a batch.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.

    Numerics: whole numbers of pixels; the disks are OpenCV's ellipses.
    Source: Cheng et al., CVPR 2020 (CascadePSP), and its evaluation code, which BiRefNet's repeats. ThreshNet's mBA is
        another measure: `boundary_iou` with a distance of 15.
    """
    return for_each_image(mean_boundary_accuracy_of, pred, gt)


def mean_boundary_accuracy_of(pair: Pair) -> float:
    """Mean boundary accuracy of a pair."""
    if pair.foreground in (0, pair.size):
        return math.nan
    right, radii = pair.mask == pair.truth, _radii(*pair.truth.shape)
    accuracies = []
    for near_true, near_false in zip(_dilated(pair.truth, radii), _dilated(~pair.truth, radii), strict=True):
        region = _unpacked(near_true & near_false, pair.truth.shape[1])
        accuracies.append(np.count_nonzero(region & right) / np.count_nonzero(region))
    return sum(accuracies) / len(accuracies)


def _radii(height: int, width: int) -> list[int]:
    return [1 + int(((width + height) / 300 - 1) / 5 * i) for i in range(5)]


def _dilated(mask: NDArray[np.bool_], radii: list[int]) -> list[Words]:
    """A mask dilated by OpenCV's ellipse of each radius r: rows dy away are widened by sqrt(r^2 - dy^2), rounded."""
    words = _packed(mask, max(radii))
    results = [words.copy() for _ in radii]
    for half_width in range(max(radii) + 1):
        for radius, result in zip(radii, results, strict=True):
            for dy in range(radius + 1):
                if round(math.sqrt(radius**2 - dy**2)) == half_width:
                    rows = max(len(words) - dy, 0)
                    result[dy:] |= words[:rows]
                    result[:rows] |= words[dy:]
        words = _widened(words)
    return results


def _packed(mask: NDArray[np.bool_], spare: int) -> Words:
    """Rows of pixels as bits of words, the leftmost the lowest, with at least `spare` more at a row's end."""
    bits = np.packbits(mask, axis=1, bitorder="little")
    packed = np.zeros((len(mask), (mask.shape[1] + spare + 63) // 64 * 8), np.uint8)
    packed[:, : bits.shape[1]] = bits
    return packed.view("<u8")


def _unpacked(words: Words, width: int) -> NDArray[np.bool_]:
    return np.unpackbits(words.view(np.uint8), axis=1, count=width, bitorder="little").view(np.bool_)


def _widened(words: Words) -> Words:
    """Rows with each pixel's neighbours to the left and right; what leaves a row lands in the spare pixels."""
    one, last, flat = np.uint64(1), np.uint64(63), words.ravel()
    result: Words = flat | flat << one | flat >> one
    result[1:] |= flat[:-1] >> last
    result[:-1] |= flat[1:] << last
    return result.reshape(words.shape)
