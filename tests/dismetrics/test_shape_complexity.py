"""IPQ, contours and dominant points."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dismetrics import ShapeComplexity, shape_complexity, split_by_complexity

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


def test_the_product_of_an_empty_mask_is_zero():
    batch = shape_complexity(np.stack([frame(0, 0), frame(41, 21)]))
    assert batch.product.tolist() == [0, batch.ipq[1] * batch.dominant_points[1]]


def plain(products):
    """Complexities of these products."""
    return [ShapeComplexity(float(product), 1, 1, 1, 1.0) for product in products]


# Few values, so that many are equal.
@given(products=st.lists(st.sampled_from([0, 1, 2, math.nan, 7]), min_size=1, max_size=30), data=st.data())
def test_a_split_is_the_sorted_order_cut_in_equal_parts(products, data):
    subsets = data.draw(st.integers(1, len(products)))
    parts = split_by_complexity(plain(products), subsets)
    empty_first = [0 if math.isnan(product) else product for product in products]
    assert np.concatenate(parts).tolist() == sorted(range(len(products)), key=empty_first.__getitem__)
    sizes = [len(part) for part in parts]
    assert len(parts) == subsets
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1


def test_batches_and_single_masks_are_split_alike():
    masks = [frame(9, 3), frame(41, 21), frame(0, 0), frame(20, 0)]
    single = [shape_complexity(mask) for mask in masks]
    batch = shape_complexity(np.stack(masks))
    mixed = [single[0], shape_complexity(np.stack(masks[1:]))]
    for complexities in (single, batch, mixed):
        assert [part.tolist() for part in split_by_complexity(complexities, 2)] == [[2, 3], [0, 1]]


@pytest.mark.parametrize(("masks", "subsets"), [(3, 4), (3, 0), (3, -1), (0, 1)])
def test_a_split_needs_a_mask_a_subset(masks, subsets):
    with pytest.raises(ValueError, match=f"subsets: expected 1 to {masks}, .* got {subsets}"):
        split_by_complexity(plain(range(masks)), subsets)
