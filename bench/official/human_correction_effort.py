"""Human correction effort with the libraries and the loops of the official script: scikit-image, OpenCV, Python.

Its polygons are those of the installed OpenCV, so its counts are ours at `OPENCV_DISTANCE`. The skeleton of the truth
comes with every call, as it does for a user who has a new truth.

Source: Qin et al., ECCV 2022 (DIS5K), section 5 and algorithm 1.
"""

from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import label
from skimage.morphology import disk, skeletonize

Mask = NDArray[np.bool_]
Line = list[tuple[int, int]]

CROSS = disk(1)
OPENCV_VERSION = tuple(map(int, cv2.__version__.split(".")[:2]))
OPENCV_DISTANCE: Literal["line", "segment"] = "segment" if OPENCV_VERSION >= (4, 13) else "line"


def human_correction_effort(
    pred: NDArray[np.uint8], gt: NDArray[np.uint8], relax: int = 5, epsilon: float = 2.0
) -> tuple[int, int, int, int, int]:
    """Points and regions of false positives, those of false negatives, and the sum of the four.

    Args:
        pred: (H, W), a pixel counts above 128.
        gt: (H, W), true above 128.
        relax: tolerance in pixels.
        epsilon: tolerance of the polygons in pixels.
    """
    found, truth = pred > 128, gt > 128
    skeleton = skeletonize(truth)
    right, false, missed = found & truth, found & ~truth, truth & ~found
    core = cv2.erode(_bytes(found | truth), CROSS, iterations=relax) > 0
    fp = _grown_back(false & core, ~(right | missed), relax) & false
    fn = _grown_back(missed & core, ~(right | false), relax) & missed
    fn |= skeleton & ~found
    parts = (*_clicks(fp, right | fn, epsilon), *_clicks(fn, ~(right | fp | fn), epsilon))
    return *parts, sum(parts)


def _bytes(mask: Mask) -> NDArray[np.uint8]:
    return mask.astype(np.uint8)


def _grown_back(mask: Mask, within: Mask, relax: int) -> Mask:
    for _ in range(relax):
        mask = (cv2.dilate(_bytes(mask), CROSS) > 0) & within
    return mask


def _clicks(wrong: Mask, border: Mask, epsilon: float) -> tuple[int, int]:
    """Polygon points where wrong regions touch the border, and regions that do not touch it."""
    contours, _ = cv2.findContours(_bytes(wrong), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    lines, regions = _lines_at_the_border(contours, wrong, border)
    polygons = [cv2.approxPolyDP(np.array(line, np.int32)[:, None], epsilon, False) for line in lines]
    return sum(len(polygon) for polygon in polygons), regions


def _lines_at_the_border(contours: Sequence[Any], wrong: Mask, border: Mask) -> tuple[list[Line], int]:
    """Contours cut into the runs that are clicked, pixel by pixel, and the number of regions that have none."""
    border = cv2.dilate(_bytes(border), CROSS)
    labels = label(wrong, connectivity=2)
    # The smallest label is taken for the background, even where there is none.
    apart = np.ones(len(np.unique(labels)))
    apart[0] = 0
    visited = np.zeros(wrong.shape)
    lines: list[Line] = []
    for contour in contours:
        own: list[Line] = []
        line: Line = []
        for i in range(len(contour)):
            row, column = contour[i, 0, 1], contour[i, 0, 0]
            if border[row, column] == 0 or visited[row, column] != 0:
                if line:
                    own.append(line)
                    line = []
                continue
            line.append((column, row))
            visited[row, column] = 1
            apart[labels[row, column]] = 0
        if line:
            own.append(line)
        lines += _joined(own)
    return lines, int(apart.sum())


def _joined(lines: list[Line]) -> list[Line]:
    """The first line, turned round, goes on the last one where the contour runs through its start."""
    if len(lines) > 1:
        (column, row), (end_column, end_row) = lines[0][0], lines[-1][-1]
        if max(abs(column - end_column), abs(row - end_row)) == 1:
            return [*lines[1:-1], lines[-1] + lines[0][::-1]]
    return lines
