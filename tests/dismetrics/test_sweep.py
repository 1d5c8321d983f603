"""A sweep over random pairs of masks: every mask op, and the effort on top of them, against other people's libraries.

``SWEEP=20000 pytest tests/dismetrics/test_sweep.py`` takes that many pairs; a failure names its pair by number.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.morphology
import torch
from numpy.typing import NDArray
from scipy import ndimage

import dislayers
from bench.official.human_correction_effort import OPENCV_DISTANCE, human_correction_effort
from dismetrics import human_correction_effort as ours

Mask = NDArray[np.bool_]
Grey = NDArray[np.uint8]
Random = np.random.Generator

CASES = int(os.environ.get("SWEEP", "500"))
GOLDEN = np.load(Path(__file__).parent / "golden" / "fuzz.npz")


def fill(random: Random, height: int, width: int) -> Mask:
    return np.full((height, width), random.random() < 0.5)


def noise(random: Random, height: int, width: int) -> Mask:
    return random.random((height, width)) < random.choice([0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98])


def blobs(random: Random, height: int, width: int) -> Mask:
    smooth = cv2.GaussianBlur(random.random((height, width)), (0, 0), random.choice([0.7, 1.5, 3, 6]))
    return smooth > np.quantile(smooth, random.choice([0.2, 0.5, 0.8]))


def lines(random: Random, height: int, width: int) -> Mask:
    picture = np.zeros((height, width), np.uint8)
    for _ in range(random.integers(1, 8)):
        start, end = random.integers(-5, 65, (2, 2)).tolist()
        cv2.line(picture, start, end, 1, int(random.choice([1, 1, 2, 3, 9])))
    return picture > 0


def ellipses(random: Random, height: int, width: int) -> Mask:
    """A few, apart: large enough to be wrong regions of their own."""
    picture = np.zeros((height, width), np.uint8)
    for _ in range(random.integers(1, 5)):
        centre, axes = random.integers(0, (width, height)).tolist(), random.integers(1, 14, 2).tolist()
        cv2.ellipse(picture, centre, axes, float(random.integers(180)), 0, 360, 1, -1)
    return picture > 0


def diagonals(random: Random, height: int, width: int) -> Mask:
    row, column = np.indices((height, width))
    return (row + random.choice([-1, 1]) * column) % random.integers(2, 12) < random.integers(1, 4)


def checkers(random: Random, height: int, width: int) -> Mask:
    row, column = np.indices((height, width)) // random.integers(1, 8)
    return (row + column) % 2 == random.integers(2)


def nested(random: Random, height: int, width: int) -> Mask:
    """Rings within rings, square or round, of one thickness."""
    row, column = np.abs(np.indices((height, width)) - random.integers(0, 60, (2, 1, 1)))
    away = np.maximum(row, column) if random.random() < 0.5 else np.hypot(row, column)
    return away // random.integers(1, 9) % 2 == random.integers(2)


DRAWINGS: list[Callable[[Random, int, int], Mask]] = [
    *[fill, diagonals, checkers, nested],
    *[noise, blobs, lines, ellipses] * 2,
]


def draw(random: Random, height: int, width: int) -> Mask:
    """One drawing, or two of them combined."""
    first, second = (DRAWINGS[i](random, height, width) for i in random.integers(len(DRAWINGS), size=2))
    return [first, first & second, first | second, first ^ second][random.choice([0, 0, 1, 2, 3])]


def shape(random: Random) -> tuple[int, int]:
    height, width = random.integers(1, 61, 2).tolist()
    return [(1, 1), (1, width), (height, 1), (height, width)][random.choice(4, p=[0.02, 0.05, 0.05, 0.88])]


def mistaken(random: Random, truth: Mask) -> Mask:
    """A prediction that errs by its place, its width, its parts or its pixels, or has nothing to do with the truth."""
    flat = truth.astype(np.uint8)
    other = draw(random, *truth.shape)
    return [
        truth,
        np.roll(truth, random.integers(-4, 5, 2), (0, 1)),
        cv2.dilate(flat, None, iterations=3) > 0,
        cv2.erode(flat, None, iterations=2) > 0,
        truth & ~other,
        truth | other,
        truth ^ ellipses(random, *truth.shape),
        truth ^ (random.random(truth.shape) < 0.05),
        other,
    ][random.integers(9)]


def soft(random: Random, mask: Mask) -> Grey:
    """Grey values with the mask's edges: plain, blurred, or next to the threshold everywhere."""
    plain = mask * np.uint8(255)
    return [
        plain,
        cv2.GaussianBlur(plain, (0, 0), random.choice([0.5, 1.5, 4])).reshape(mask.shape),
        np.where(mask, random.integers(126, 132, mask.shape), random.integers(0, 130, mask.shape)).astype(np.uint8),
    ][random.integers(3)]


def pairs() -> Iterator[tuple[str, Random, Grey, Mask]]:
    """Each pair with its name and the generator that drew it."""
    for number in range(CASES):
        random = np.random.default_rng(number)
        truth = draw(random, *shape(random))
        pred = soft(random, mistaken(random, truth))
        yield f"pair {number}, {truth.shape[0]}x{truth.shape[1]}", random, pred, truth


def masks() -> Iterator[tuple[str, Mask]]:
    for name, _, pred, truth in pairs():
        yield f"truth of {name}", truth
        yield f"prediction of {name}", pred > 128


def test_skeletons_are_those_of_scikit_image() -> None:
    for name, mask in masks():
        skeleton = dislayers.skeletonize(torch.from_numpy(mask)).numpy()
        assert np.array_equal(skeleton, skimage.morphology.skeletonize(mask)), name


@pytest.mark.parametrize("connectivity", [4, 8])
def test_components_are_those_of_opencv(connectivity: int) -> None:
    for name, mask in masks():
        count, expected = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)
        labels, found = dislayers.connected_components(torch.from_numpy(mask), connectivity)
        assert int(found) == count - 1, name
        # OpenCV numbers them in another order; ours is that of their first pixels.
        _, first = np.unique(expected[mask], return_index=True)
        rank = np.zeros(count, np.int32)
        rank[1 + np.argsort(first)] = np.arange(1, count)
        assert np.array_equal(labels.numpy(), rank[expected]), name


def test_distances_and_nearest_pixels_are_those_of_scipy() -> None:
    for name, mask in masks():
        if mask.all():  # nothing to be near to
            continue
        expected, nearest = ndimage.distance_transform_edt(mask, return_indices=True)
        distances, indices = dislayers.distance_transform(torch.from_numpy(mask), return_indices=True)
        assert np.array_equal(distances.numpy(), expected.astype(distances.numpy().dtype)), name
        assert np.array_equal(indices.numpy(), np.ravel_multi_index(tuple(nearest), mask.shape)), name


def test_contours_and_their_polygons_are_those_of_opencv() -> None:
    for name, mask in masks():
        expected, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
        found = dislayers.contours(torch.from_numpy(mask))
        assert same_curves(found.points, found.lengths, expected), name
        for epsilon, closed in ((1.0, True), (2.0, False)):
            polygons = [cv2.approxPolyDP(contour, epsilon, closed) for contour in expected]
            approximated = dislayers.approximate_polygons(found.points, found.lengths, epsilon, closed, OPENCV_DISTANCE)
            assert same_curves(*approximated, polygons), f"{name}, epsilon {epsilon}"


def same_curves(points: torch.Tensor, lengths: torch.Tensor, expected: Sequence[NDArray[np.int32]]) -> bool:
    same_lengths = lengths.tolist() == [len(curve) for curve in expected]
    return same_lengths and np.array_equal(points.numpy(), np.concatenate([np.empty((0, 1, 2)), *expected])[:, 0])


def test_the_human_correction_effort_is_that_of_the_official_loops() -> None:
    for name, random, pred, truth in pairs():
        relax, epsilon = int(random.choice([5, 5, 0, 1, 2, 3])), float(random.choice([2, 2, 1, 0, 3.5]))
        expected = human_correction_effort(pred, truth * np.uint8(255), relax, epsilon)
        actual = ours(pred, truth, relax, epsilon, OPENCV_DISTANCE)
        assert actual == expected, f"{name}, relax {relax}, epsilon {epsilon}"


def test_the_official_loops_give_the_official_values() -> None:
    ends = np.cumsum(GOLDEN["shapes"].prod(axis=1))[:-1]
    pred, gt = ([*np.split(GOLDEN[key], ends)] for key in ("pred", "gt"))
    official = GOLDEN["gold_hce_seg" if OPENCV_DISTANCE == "segment" else "gold_hce"]
    for i, size in enumerate(GOLDEN["shapes"]):
        assert human_correction_effort(pred[i].reshape(size), gt[i].reshape(size)) == tuple(official[i]), i
