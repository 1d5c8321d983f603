"""IPQ, contours and dominant points."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from dismetrics import shape_complexity

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20))


def frame(outer, inner):
    image = np.zeros((80, 80), np.bool_)
    image[10 : 10 + outer, 10 : 10 + outer] = True
    start = 10 + (outer - inner) // 2
    image[start : start + inner, start : start + inner] = False
    return image


def test_a_square():
    complexity = shape_complexity(frame(41, 0))
    assert complexity.ipq == pytest.approx((4 * 40) ** 2 / (4 * math.pi * 41**2))
    assert complexity[1:] == (1, 4, 41**2, 4 * 40)


def test_a_hole_is_a_contour():
    complexity = shape_complexity(frame(41, 21))
    assert complexity.contours == 2
    # The contour of a hole runs on the mask, around it, and cuts its corners.
    length = 4 * 40 + 4 * 20 + 4 * math.sqrt(2)
    assert complexity.ipq == pytest.approx(length**2 / (4 * math.pi * (41**2 - 21**2)), rel=1e-6)


def test_an_empty_mask_has_no_quotient():
    complexity = shape_complexity(np.zeros((5, 5), np.bool_))
    assert math.isnan(complexity.ipq)
    assert complexity[1:] == (0, 0, 0, 0)


@given(mask=MASKS)
def test_the_perimeter_is_opencv_s(mask):
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    assert shape_complexity(mask).perimeter == sum(cv2.arcLength(contour, True) for contour in contours)


@given(mask=MASKS)
def test_a_tolerance_only_removes_points_and_never_a_contour(mask):
    fine, coarse = shape_complexity(mask, epsilon=0), shape_complexity(mask, epsilon=100)
    assert fine.contours == coarse.contours == coarse.dominant_points <= fine.dominant_points


@pytest.mark.parametrize(
    ("options", "message"), [({"epsilon": -1}, "epsilon .*-1"), ({"distance": "ray"}, "distance .*'ray'")]
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        shape_complexity(frame(9, 0), **options)
