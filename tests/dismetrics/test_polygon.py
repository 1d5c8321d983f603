"""Douglas and Peucker's polygons, against the installed OpenCV and against the definition."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dismetrics.polygon import approximate_polygon

OPENCV_DISTANCE = "segment" if tuple(map(int, cv2.__version__.split(".")[:2])) >= (4, 13) else "line"
POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=30).map(np.array)
STEPS = st.lists(st.tuples(st.integers(-1, 1), st.integers(-1, 1)), min_size=1, max_size=80)
WALKS = STEPS.map(lambda steps: np.cumsum(steps, axis=0))


@settings(max_examples=400)
@given(points=POINTS | WALKS, epsilon=st.sampled_from([0, 0.5, 1, 2, 3.7]), closed=st.booleans())
def test_equal_to_opencv_under_its_own_distance(points, epsilon, closed):
    expected = cv2.approxPolyDP(points.astype(np.int32)[:, None], epsilon, closed)[:, 0]
    assert np.array_equal(approximate_polygon(points, epsilon, closed, OPENCV_DISTANCE), expected)


@given(points=POINTS | WALKS, epsilon=st.floats(0, 5), distance=st.sampled_from(["line", "segment"]))
def test_corners_are_points_of_the_curve_and_its_ends(points, epsilon, distance):
    corners = approximate_polygon(points, epsilon, False, distance)
    assert {tuple(corner) for corner in corners} <= {tuple(point) for point in points}
    assert tuple(corners[0]) == tuple(points[0])
    assert tuple(corners[-1]) == tuple(points[-1]) or tuple(points[0]) == tuple(points[-1])


@pytest.mark.parametrize("distance", ["line", "segment"])
def test_straight_lines_and_corners(distance):
    line = [(x, 0) for x in range(10)]
    corner = line + [(9, y) for y in range(1, 10)]
    assert approximate_polygon(np.array(line), 2, distance=distance).tolist() == [[0, 0], [9, 0]]
    assert approximate_polygon(np.array(corner), 2, distance=distance).tolist() == [[0, 0], [9, 0], [9, 9]]
    assert approximate_polygon(np.array([(3, 4)]), 2, distance=distance).tolist() == [[3, 4]]


def test_the_two_distances_differ_where_a_curve_runs_past_its_end():
    hook = np.array([(0, 0), (5, 0), (10, 1), (5, 1), (1, 0)])
    assert approximate_polygon(hook, 2, distance="line").tolist() == [[0, 0], [1, 0]]
    assert approximate_polygon(hook, 2, distance="segment").tolist() == [[0, 0], [10, 1], [1, 0]]


def test_the_square_on_its_edge_is_closed():
    square = [(0, 0), (0, 5), (0, 9), (5, 9), (9, 9), (9, 5), (9, 0), (5, 0)]
    assert len(approximate_polygon(np.array(square), 2, closed=True)) == 4
