"""Multi-scale IoU (MSIoU): how much of the truth's edge is found, on grids from fine to coarse."""

from collections.abc import Iterator
from functools import reduce

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dismetrics.pairs import Images, Pair, for_each_image
from dismetrics.threshold_curve import ThresholdCurve

Cells = NDArray[np.int64]
Masks = NDArray[np.uint64]

# The coarsest cell has 512 x 512 pixels.
_COARSEST = 9
_CELL = 1 << _COARSEST

# Pixels whose masks are worked on at once: they should fit a core's second-level cache.
_BLOCK = 1 << 12

# The masks of a pair: at the thresholds 256 ... 1, then those that a pixel's code names by bits of their own.
_WHOLE, _ADAPTIVE, _BINARY, _TRUTH = range(256, 260)


def multiscale_iou(pred: Images, gt: Images, levels: int = 10, dtype: DTypeLike = np.float16) -> ThresholdCurve:
    """Share of the truth's edge cells that hold an edge of the thresholded prediction, over grids; higher is better.

    r_s = (cells of s x s pixels with both edges + 1) / (cells with the truth's edge + 1); MSIoU is the area under
    r_1 ... r_512 by trapezia, on a base of length 1. An edge is where a Sobel filter of the mask is not 0. The grids
    are anchored at the lower right corner.

    Args:
        pred: floats in [0, 1], uint8 or bool; (H, W) or (B, H, W), NumPy or torch. It is stretched to [0, 1] by its
            own minimum and maximum first.
        gt: bool, or uint8 and true above 128; same shape.
        levels: number of grids, >= 2; the exponents of their cell sizes are spread evenly over 0 ... 9, rounded down.
        dtype: of the numbers of the truth's edge cells, see below.

    Returns:
        A `ThresholdCurve` of 257 thresholds, from 256, where nothing is predicted, down to 0.

    Raises:
        TypeError, ValueError: as `dismetrics.pairs.for_each_image`.
        ValueError: fewer than two levels.

    Numerics: PySODMetrics counts the truth's edge cells in float16. From 2049 on they are rounded to 11 bits, so that r
    may be a little above 1, and from 65520 on they are infinite, so that r is 0. `dtype=np.float64` counts exactly.
    Source: Ahmadzadeh et al., ICIP 2021; definition of PySODMetrics.
    """
    if levels < 2:
        raise ValueError(f"levels: expected an integer >= 2, got {levels}")
    return for_each_image(lambda pair: multiscale_iou_of(pair, levels, dtype), pred, gt)


def multiscale_iou_of(pair: Pair, levels: int = 10, dtype: DTypeLike = np.float16) -> ThresholdCurve:
    """Multi-scale IoU of a pair."""
    exponents = np.linspace(0, _COARSEST, levels, dtype=int)
    counts = np.sum([_count(cells, masks) for cells, masks in _edges(_codes(pair))], axis=0)[exponents]
    with np.errstate(over="ignore"):
        truth = counts[:, _TRUTH].astype(dtype) + np.ones((), dtype)
    ratios = (counts[:, :_TRUTH] + 1) / truth[:, None].astype(np.float64)
    values = (ratios[1:] + ratios[:-1]).sum(0) / 2 / (levels - 1)
    curve, (adaptive, binary) = values[:_ADAPTIVE], values[_ADAPTIVE:].tolist()
    return ThresholdCurve(float(curve.max()), float(curve.mean()), adaptive, curve, binary)


def _codes(pair: Pair) -> NDArray[np.uint16]:
    """Each pixel's grey level in the low byte, and a bit for each of the four other masks; framed by zeros."""
    values = pair.normalized
    codes = np.zeros(np.add(values.shape, 2), np.uint16)
    codes[1:-1, 1:-1] = pair.steps
    found = True, values >= min(2 * values.mean(), 1), values > 0.5, pair.truth
    for bit, mask in enumerate(found, 8):
        codes[1:-1, 1:-1] |= np.left_shift(mask, bit, dtype=np.uint16)
    return codes


def _masks_by_code() -> Masks:
    """Which masks hold a pixel of a code, as bits: uint64 (4096, 5)."""
    codes = np.arange(1 << 12)[:, None]
    held = np.zeros((len(codes), 5 * 64), np.bool_)
    held[:, :_WHOLE] = codes % 256 >= np.arange(256, 0, -1)
    held[:, _WHOLE : _TRUTH + 1] = codes >> np.arange(8, 12) & 1
    return np.packbits(held, axis=1, bitorder="little").view(np.uint64)


def _edges(codes: NDArray[np.uint16]) -> Iterator[tuple[Cells, Masks]]:
    """Edge pixels, in bands as high as the coarsest cells, with the masks whose edges they are.

    They are numbered along a Z curve from the lower right corner, and come in this order, so that pixels whose numbers
    agree but for the last 2 n bits are a cell of the n-th grid.
    """
    height, width = np.subtract(codes.shape, 2)
    for bottom in range(height, 0, -_CELL):
        top = max(bottom - _CELL, 0)
        around = [codes[top + row : bottom + row, column : column + width] for row, column in _AROUND]
        rows, columns = np.nonzero(reduce(np.logical_or, (other != around[0] for other in around)))
        up, left = bottom - top - 1 - rows, width - 1 - columns
        cells = left >> _COARSEST << 2 * _COARSEST | _SPREAD[up] << 1 | _SPREAD[left % _CELL]
        order = np.argsort(cells)
        rows, columns = rows[order], columns[order]
        blocks = [slice(start, start + _BLOCK) for start in range(0, len(rows), _BLOCK)]
        masks = [_sobel(*(_MASKS.take(other[rows[block], columns[block]], 0) for other in around)) for block in blocks]
        yield cells[order], np.concatenate(masks or [_MASKS[:0]])


def _sobel(*around: Masks) -> Masks:
    """Where the gradient is not 0: each bit is a pixel, its neighbours given clockwise from the upper left."""
    nw, n, ne, e, se, s, sw, w = around
    return _unequal((nw, n, ne), (sw, s, se)) | _unequal((nw, w, sw), (ne, e, se))


def _unequal(one: tuple[Masks, ...], other: tuple[Masks, ...]) -> Masks:
    """Where the sums of three bits, the middle one twice, differ."""
    (odd, twos, fours), (other_odd, other_twos, other_fours) = map(_sum, (one, other))
    return np.asarray(odd ^ other_odd | twos ^ other_twos | fours ^ other_fours)


def _sum(bits: tuple[Masks, ...]) -> tuple[Masks, Masks, Masks]:
    left, middle, right = bits
    both = left & right
    return left ^ right, middle ^ both, middle & both


def _count(cells: Cells, masks: Masks) -> NDArray[np.int64]:
    """On each grid, the cells that hold an edge both of the truth and of a mask: int64 (10, 260)."""
    counts = np.zeros((_COARSEST + 1, _TRUTH + 1), np.int64)
    for count in counts:
        of_truth = masks[masks[:, _TRUTH // 64] >> np.uint64(_TRUTH % 64) & np.uint64(1) == 1]
        bits = np.unpackbits(of_truth.view(np.uint8), axis=1, count=len(count), bitorder="little")
        count += bits.sum(0, dtype=np.int64)
        cells = cells >> 2
        first = np.flatnonzero(np.diff(cells, prepend=-1))
        cells = cells[first]
        masks = np.bitwise_or.reduceat(masks, first) if len(first) else masks
    return counts


_AROUND = (0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)
_MASKS = _masks_by_code()
# The bits of a number below 512, each followed by a zero.
_SPREAD = np.sum([(np.arange(_CELL) >> bit & 1) << 2 * bit for bit in range(_COARSEST)], axis=0)
