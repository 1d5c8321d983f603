"""Contours and polygons are OpenCV's, point for point, however they are computed."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dislayers import approximate_polygon, approximate_polygons, contours
from dislayers.contours import kernel, reference

# What approxPolyDP of the installed OpenCV measures.
OPENCV_DISTANCE = "segment" if tuple(map(int, cv2.__version__.split(".")[:2])) >= (4, 13) else "line"
POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=30)
STEPS = st.lists(st.tuples(st.integers(-1, 1), st.integers(-1, 1)), min_size=1, max_size=80)
CURVES = (POINTS | STEPS.map(lambda steps: np.cumsum(steps, axis=0).tolist())).map(
    lambda points: torch.tensor(points, dtype=torch.int32)
)


def random_mask(random: np.random.Generator) -> Tensor:
    """Noise and blocks of it, of a size that is now and then more than a packed word wide."""
    height, width = random.integers(1, 40), random.choice([random.integers(1, 40), 63, 64, 65, 130, 512])
    block = random.choice([1, 1, 2, 7])
    coarse = random.random((height // block + 1, width // block + 1)) < random.choice([0.05, 0.3, 0.5, 0.7, 0.95, 1])
    return torch.from_numpy(np.kron(coarse, np.ones((block, block), bool))[:height, :width].copy())


def by_opencv(mask: Tensor) -> tuple[Tensor, ...]:
    found, hierarchy = cv2.findContours(mask.numpy().view(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    parents = np.zeros(0, np.int64) if hierarchy is None else hierarchy[0, :, 3].astype(np.int64)
    is_hole: list[bool] = []
    for parent in parents:
        is_hole.append(parent >= 0 and not is_hole[parent])
    points = np.concatenate([np.zeros((0, 2), np.int32), *(contour[:, 0] for contour in found)])
    lengths = np.array([len(contour) for contour in found], np.int64)
    return tuple(map(torch.from_numpy, (points, lengths, np.array(is_hole, bool), parents)))


def assert_same(actual: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    torch.testing.assert_close(tuple(actual), tuple(expected), rtol=0, atol=0)


def test_contours_are_opencv_s_on_3000_masks() -> None:
    random = np.random.default_rng(0)
    for _ in range(3000):
        mask = random_mask(random)
        assert_same(contours(mask), by_opencv(mask))


def test_contours_are_the_reference_s() -> None:
    random = np.random.default_rng(1)
    for _ in range(200):
        mask = random_mask(random)
        assert_same(contours(mask), reference.contours(mask))


@pytest.mark.skipif(kernel.extension is None, reason="the extension is not there")
@pytest.mark.parametrize("index", range(len(kernel.extension.instruction_sets()) if kernel.extension else 0))
def test_every_instruction_set_gives_the_same(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "best_instruction_set", index)
    random = np.random.default_rng(2)
    for _ in range(100):
        mask = random_mask(random)
        assert_same(contours(mask), by_opencv(mask))


@pytest.mark.parametrize(
    "mask",
    [torch.ones(9, 12).bool().t(), torch.eye(8).to(torch.uint8) * 200, torch.ones(20, 30).bool()[::2, ::3]],
    ids=["transposed", "uint8", "strided"],
)
def test_any_layout_and_both_dtypes(mask: Tensor) -> None:
    assert_same(contours(mask), by_opencv((mask != 0).contiguous()))


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (5, 5)])
def test_an_empty_mask_has_no_contour(shape: tuple[int, int]) -> None:
    found = contours(torch.zeros(shape, dtype=torch.bool))
    assert [tuple(part.shape) for part in found] == [(0, 2), (0,), (0,), (0,)]


def test_regions_holes_and_regions_in_them() -> None:
    mask = torch.zeros(9, 20, dtype=torch.bool)
    mask[:, :9] = mask[4, 12:15] = True
    mask[1:8, 1:8] = False
    mask[3:6, 3:6] = True
    found = contours(mask)
    assert found.is_hole.tolist() == [False, False, True, False]
    assert found.parents.tolist() == [-1, -1, 1, 2]
    assert found.points.split(found.lengths.tolist())[0].tolist() == [[12, 4], [13, 4], [14, 4], [13, 4]]


@settings(max_examples=400)
@given(curve=CURVES, epsilon=st.sampled_from([0, 0.5, 1, 2, 3.7]), closed=st.booleans())
def test_polygons_are_opencv_s_under_its_own_distance(curve: Tensor, epsilon: float, closed: bool) -> None:
    expected = cv2.approxPolyDP(curve.numpy()[:, None], epsilon, closed)[:, 0]
    assert np.array_equal(approximate_polygon(curve, epsilon, closed, OPENCV_DISTANCE), expected)


@given(
    curves=st.lists(CURVES, max_size=5),
    epsilon=st.floats(0, 5),
    closed=st.booleans(),
    distance=st.sampled_from(["line", "segment"]),
)
def test_polygons_are_the_reference_s(curves: list[Tensor], epsilon: float, closed: bool, distance: str) -> None:
    points = torch.cat([torch.zeros(0, 2, dtype=torch.int32), *curves])
    arguments = points, torch.tensor([len(curve) for curve in curves], dtype=torch.int64), epsilon, closed, distance
    assert_same(approximate_polygons(*arguments), reference.approximate_polygons(*arguments))


@given(curve=CURVES, epsilon=st.floats(0, 5), distance=st.sampled_from(["line", "segment"]))
def test_corners_are_points_of_the_curve_and_its_ends(curve: Tensor, epsilon: float, distance: str) -> None:
    points, corners = curve.tolist(), approximate_polygon(curve, epsilon, False, distance).tolist()
    assert all(corner in points for corner in corners)
    assert corners[0] == points[0]
    assert corners[-1] == points[-1] or points[0] == points[-1]


@pytest.mark.parametrize("distance", ["line", "segment"])
def test_straight_lines_corners_and_a_square_on_its_edge(distance: str) -> None:
    line = [(x, 0) for x in range(10)]
    corner = line + [(9, y) for y in range(1, 10)]
    square = [(0, 0), (0, 5), (0, 9), (5, 9), (9, 9), (9, 5), (9, 0), (5, 0)]

    def polygon(points: list[tuple[int, int]], closed: bool = False) -> list[list[int]]:
        return approximate_polygon(torch.tensor(points, dtype=torch.int32), 2, closed, distance).tolist()

    assert polygon(line) == [[0, 0], [9, 0]]
    assert polygon(corner) == [[0, 0], [9, 0], [9, 9]]
    assert polygon([(3, 4)]) == [[3, 4]]
    assert len(polygon(square, closed=True)) == 4


def test_the_two_distances_differ_where_a_curve_runs_past_its_end() -> None:
    hook = torch.tensor([(0, 0), (5, 0), (10, 1), (5, 1), (1, 0)], dtype=torch.int32)
    assert approximate_polygon(hook, 2, distance="line").tolist() == [[0, 0], [1, 0]]
    assert approximate_polygon(hook, 2, distance="segment").tolist() == [[0, 0], [10, 1], [1, 0]]


class Outline(torch.nn.Module):
    def forward(self, mask: Tensor) -> tuple[Tensor, ...]:
        found = contours(mask)
        return approximate_polygons(found.points, found.lengths, 1.0, closed=True)


def test_compiled_and_exported_with_sizes_that_depend_on_the_data() -> None:
    first, other = torch.ones(9, 11).bool(), torch.eye(9, 11).bool()
    found = contours(other)
    torch.library.opcheck(torch.ops.dislayers.contours.default, (other,))
    curves = found.points, found.lengths, 1.0, True, "line"
    torch.library.opcheck(torch.ops.dislayers.approximate_polygons.default, curves)
    assert_same(torch.export.export(Outline(), (first,)).module()(other), Outline()(other))
    assert_same(torch.compile(Outline(), fullgraph=True, backend="aot_eager")(other), Outline()(other))


POINT, ONE = torch.zeros(1, 2, dtype=torch.int32), torch.ones(1, dtype=torch.int64)


@pytest.mark.parametrize(
    ("call", "exception", "text"),
    [
        (lambda: contours(torch.rand(2, 2)), TypeError, r"mask must be a bool or uint8.*got float32 \(2, 2\)"),
        (lambda: contours(torch.ones(1, 2, 2) > 0), ValueError, r"mask must have the shape \(H, W\), got \(1, 2, 2\)"),
        (lambda: approximate_polygon(POINT.long(), 1), TypeError, r"points must be a tensor of torch.int32, got int64"),
        (lambda: approximate_polygon(POINT[0], 1), ValueError, r"must have the shapes \(N, 2\) and \(C,\), got \(2,\)"),
        (lambda: approximate_polygon(POINT, -1), ValueError, r"epsilon must be in \[0, inf\], got -1"),
        (lambda: approximate_polygon(POINT, 1, distance="ray"), ValueError, "distance must be one of line, segment"),
        (
            lambda: approximate_polygons(POINT, ONE.int(), 1),
            TypeError,
            "lengths must be a tensor of torch.int64, got int32",
        ),
        (lambda: approximate_polygons(POINT, 2 * ONE, 1), ValueError, "lengths must be at least 0 and have the sum 1"),
    ],
)
def test_what_is_refused(call, exception: type[Exception], text: str) -> None:
    with pytest.raises(exception, match=text):
        call()
