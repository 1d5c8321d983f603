"""Boundary IoU and mean boundary accuracy: the official definitions with OpenCV, values by hand, and what must hold."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dismetrics import boundary_iou, boundary_iou_curve, mean_boundary_accuracy

SIDES = st.integers(1, 40) | st.sampled_from([63, 64, 65, 127, 129, 300])


def blobs(random, shape, cell):
    """Grey shapes of some `cell` pixels: smooth, saturated or noisy."""
    coarse = random.random((shape[0] // cell + 2, shape[1] // cell + 2)).astype(np.float32)
    smooth = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    noise = random.random(shape) * random.choice([0, 0.3])
    return (np.clip((smooth + noise - 0.5) * random.choice([1, 8, 1000]) + 0.5, 0, 1) * 255).astype(np.uint8)


@st.composite
def image_pairs(draw):
    shape, random = (draw(SIDES), draw(SIDES)), np.random.default_rng(draw(st.integers(0, 2**32)))
    cell = draw(st.sampled_from([1, 5, 30]))
    pred, gt = blobs(random, shape, cell), blobs(random, shape, cell) > 128
    uniform = draw(st.sampled_from([None, None, None, 0, 255]))
    return pred if uniform is None else np.full_like(pred, uniform), gt if draw(st.booleans()) else gt | (pred > 128)


def official_distance(shape):
    return max(round(0.02 * np.sqrt(shape[0] ** 2 + shape[1] ** 2)), 1)


def official_boundary(values, distance):
    framed = cv2.copyMakeBorder(values, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return values - cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=distance)[1:-1, 1:-1]


@given(image_pairs(), st.none() | st.integers(1, 50))
@settings(max_examples=200, deadline=None)
def test_boundary_iou_is_the_official_one(pair, distance):
    pred, gt = pair
    found, truth = (
        official_boundary(mask.astype(np.uint8), distance or official_distance(gt.shape)) > 0
        for mask in (pred > 128, gt)
    )
    either = np.count_nonzero(found | truth)
    expected = np.count_nonzero(found & truth) / either if either else math.nan
    assert boundary_iou(pred, gt, distance=distance) == pytest.approx(expected, rel=0, abs=0, nan_ok=True)


@given(image_pairs())
@settings(max_examples=200, deadline=None)
def test_the_curve_is_birefnets(pair):
    pred, gt = pair
    values = pred / 255
    if pred.max() > pred.min():
        values = (values - values.min()) / (values.max() - values.min())
    distance = official_distance(gt.shape)
    found = official_boundary((values * 255).astype(np.uint8), distance)
    truth = official_boundary(gt.astype(np.uint8), distance) > 0
    true, false = (np.cumsum(np.histogram(found[part], bins=np.arange(257))[0][::-1]) for part in (truth, ~truth))
    expected = true / (max(np.count_nonzero(truth), 1) + false)
    curve = boundary_iou_curve(pred, gt)
    np.testing.assert_array_equal(curve.curve, expected)
    assert (curve.maximum, curve.mean) == (expected.max(), expected.mean())


@given(image_pairs())
@settings(max_examples=200, deadline=None)
def test_mean_boundary_accuracy_is_the_official_one(pair):
    pred, gt = pair
    expected = []
    for i in range(5):
        radius = 1 + int((sum(gt.shape) / 300 - 1) / 5 * i)
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        near = cv2.morphologyEx(gt.astype(np.uint8), cv2.MORPH_GRADIENT, disk) > 0
        expected.append(np.mean((pred > 128)[near] == gt[near]) if near.any() else math.nan)
    assert mean_boundary_accuracy(pred, gt) == pytest.approx(sum(expected) / 5, rel=0, abs=1e-15, nan_ok=True)


@pytest.mark.parametrize("shape", [(1800, 1700), (3, 6300), (6100, 2)])
def test_wide_disks_are_opencvs_too(shape):
    random = np.random.default_rng(0)
    pred, gt = (blobs(random, shape, 40) > 128 for _ in range(2))
    radius = 1 + int((sum(shape) / 300 - 1) / 5 * 4)
    assert radius > 8
    test_mean_boundary_accuracy_is_the_official_one.hypothesis.inner_test((pred.astype(np.uint8) * 255, gt))


def square(size, side, top=0, left=0):
    mask = np.zeros((size, size), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def test_boundary_iou_by_hand():
    gt = square(20, 6, 7, 7)
    # A ring a pixel wide of 20 pixels; that of the prediction, four pixels smaller, lies inside it.
    assert boundary_iou(square(20, 4, 8, 8), gt, distance=1) == 0
    assert boundary_iou(square(20, 4, 8, 8), gt, distance=2) == 12 / 36
    assert boundary_iou(square(20, 6, 7, 8), gt, distance=1) == pytest.approx(10 / 30)


def test_the_image_border_is_boundary():
    everything = np.ones((9, 9), np.bool_)
    assert boundary_iou(everything, ~square(9, 5, 2, 2), distance=2) == 1
    assert boundary_iou(everything, ~square(9, 5, 2, 2), distance=1) == pytest.approx(32 / 56)


def test_without_a_boundary_there_is_no_value():
    empty, full = np.zeros((5, 7), np.bool_), np.ones((5, 7), np.bool_)
    assert math.isnan(boundary_iou(empty, empty))
    assert boundary_iou(full, empty) == 0
    assert boundary_iou_curve(full, empty)[:2] == (0, 0)
    assert math.isnan(mean_boundary_accuracy(full, empty))
    assert math.isnan(mean_boundary_accuracy(empty, full))


def test_a_boundary_as_wide_as_the_image_is_everything():
    gt = np.random.default_rng(0).random((6, 9)) > 0.5
    pred = np.roll(gt, 1)
    intersection_over_union = np.count_nonzero(pred & gt) / np.count_nonzero(pred | gt)
    for options in ({"distance": 5}, {"distance": 10**12}, {"ratio": 100}):
        assert boundary_iou(pred, gt, **options) == intersection_over_union
        assert boundary_iou_curve(pred, gt, **options).curve[0] == intersection_over_union


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=30)), st.data())
@settings(deadline=None)
def test_what_holds_for_every_pair(gt, data):
    pred = data.draw(hnp.arrays(np.bool_, gt.shape))
    if gt.any():
        assert boundary_iou(gt, gt) == 1
        assert boundary_iou(pred, gt) == boundary_iou(gt, pred)
        assert boundary_iou(pred.T, gt.T) == boundary_iou(pred[::-1], gt[::-1]) == boundary_iou(pred, gt)
        if not pred.all():  # a constant prediction is not stretched, but cut at all thresholds the same
            assert boundary_iou_curve(pred, gt).curve[0] == boundary_iou(pred, gt)
    if gt.any() and not gt.all():
        assert mean_boundary_accuracy(gt, gt) == 1
        assert mean_boundary_accuracy(~gt, gt) == 0
        assert mean_boundary_accuracy(pred, gt) == pytest.approx(1 - mean_boundary_accuracy(~pred, gt))
        assert mean_boundary_accuracy(pred, gt) == mean_boundary_accuracy(~pred, ~gt)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"distance": 0}, "distance: expected an integer >= 1, got 0"),
        ({"ratio": -0.1}, "ratio: expected a number >= 0, got -0.1"),
        ({"ratio": math.nan}, "ratio: expected a number >= 0, got nan"),
    ],
)
@pytest.mark.parametrize("measure", [boundary_iou, boundary_iou_curve])
def test_bad_widths_are_refused(measure, options, text):
    with pytest.raises(ValueError, match=text):
        measure(square(4, 2), square(4, 2), **options)
