"""MAE, F, weighted F, S and E: values worked out by hand, and what must hold for every pair."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dismetrics import e_measure, f_measure, mean_absolute_error, s_measure, weighted_f_measure

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=14)
SCORES = {
    "f": lambda pred, gt: f_measure(pred, gt).maximum,
    "weighted_f": weighted_f_measure,
    "s": s_measure,
}


@st.composite
def image_pairs(draw):
    shape = draw(SHAPES)
    return draw(hnp.arrays(np.uint8, shape)), draw(hnp.arrays(np.bool_, shape))


def test_mean_absolute_error_stretches_the_prediction():
    pred = np.array([[50, 100], [150, 250]], np.uint8)
    gt = np.array([[False, False], [True, True]])
    assert mean_absolute_error(pred, gt) == pytest.approx((0 + 50 + 100 + 0) / 200 / 4)
    assert mean_absolute_error(np.full((2, 2), 51, np.uint8), gt) == pytest.approx((0.2 + 0.2 + 0.8 + 0.8) / 4)


def test_f_measure_by_hand():
    pred = np.array([[255, 255, 0, 0]], np.uint8)
    gt = np.array([[True, False, True, False]])
    half, everything = 1.3 * 0.5 * 0.5 / (0.3 * 0.5 + 0.5), 1.3 * 0.5 / (0.3 * 0.5 + 1)
    f = f_measure(pred, gt)
    assert f.curve[:255] == pytest.approx(half)
    assert f.curve[255] == pytest.approx(everything)
    assert (f.maximum, f.adaptive) == (pytest.approx(everything), pytest.approx(half))
    assert f.mean == pytest.approx((255 * half + everything) / 256)


def test_f_measure_without_a_true_positive_is_zero():
    empty = np.zeros((3, 3), np.bool_)
    assert f_measure(np.eye(3), empty)[:3] == (0, 0, 0)


def test_e_measure_by_hand():
    gt = np.array([[True, True, False, False]])
    # At every threshold but the last the prediction is the truth; at the last, everything: b a = 0, so 1/4 a pixel.
    e = e_measure(gt, gt)
    assert e.curve[0] == pytest.approx(4 / 3)
    assert e.curve[255] == pytest.approx(1 / 3)
    assert e.adaptive == pytest.approx(4 / 3)
    assert e_measure(~gt, gt).curve[0] == pytest.approx(0)


@pytest.mark.parametrize("full", [False, True])
def test_e_measure_of_a_uniform_truth_counts_pixels(full):
    pred = np.array([[255, 0, 0], [0, 0, 0]], np.uint8)
    right = 1 if full else 5
    assert e_measure(pred, np.full((2, 3), full)).curve[0] == pytest.approx(right / 5)


def test_s_measure_of_uniform_truths_is_the_mean():
    pred = np.array([[255, 0, 0, 0]], np.uint8)
    assert s_measure(pred, np.zeros((1, 4), np.bool_)) == pytest.approx(0.75)
    assert s_measure(pred, np.ones((1, 4), np.bool_)) == pytest.approx(0.25)


def test_s_measure_by_hand():
    gt = np.array([[True, True, False, False]] * 2 + [[False] * 4] * 2)
    # Object: foreground 2 x 0 / ... = 0, background 2 x 1 / 2 on 3/4 of the pixels. Centroid (0.5, 0.5), rounded to
    # even 0, then 1: of the quadrants (1, 3, 3, 9 pixels) only the first is constant in both.
    assert s_measure(np.zeros((4, 4)), gt) == pytest.approx((0.75 + 1 / 16) / 2)


def test_s_measure_has_no_value_when_a_quadrant_is_empty():
    gt = np.zeros((4, 5), np.bool_)
    gt[3, 1:3] = True
    assert math.isnan(s_measure(gt, gt))


def test_weighted_f_measure_of_an_empty_truth_is_zero():
    assert weighted_f_measure(np.eye(4), np.zeros((4, 4), np.bool_)) == 0


def test_weighted_f_measure_forgives_less_far_away():
    gt = np.zeros((20, 60), np.bool_)
    gt[5:15, 5:15] = True
    near, far = gt.copy(), gt.copy()
    near[8:12, 16:20] = True
    far[8:12, 50:54] = True
    assert weighted_f_measure(far, gt) < weighted_f_measure(near, gt) < 1
    # One pixel is wrong 100 pixels away: its weight is 2 - 0.5^20.
    gt = np.zeros((1, 120), np.bool_)
    gt[0, :10] = True
    pred = gt.copy()
    pred[0, 109] = True
    precision = 10 / (10 + 2 - 0.5**20)
    assert weighted_f_measure(pred, gt) == pytest.approx(2 * precision / (1 + precision), abs=1e-12)


@given(gt=hnp.arrays(np.bool_, SHAPES))
def test_a_perfect_prediction(gt):
    assume(gt.any() and not gt.all())
    assert mean_absolute_error(gt, gt) == 0
    assert f_measure(gt, gt).maximum == pytest.approx(1)
    assert weighted_f_measure(gt, gt) == pytest.approx(1)
    assert e_measure(gt, gt).maximum == pytest.approx(gt.size / (gt.size - 1))
    s = s_measure(gt, gt)
    assert math.isnan(s) or s == pytest.approx(1)


@given(pair=image_pairs())
def test_bounds(pair):
    for score in (mean_absolute_error, *SCORES.values()):
        value = score(*pair)
        assert math.isnan(value) or 0 <= value <= 1 + 1e-12
    for curve in (f_measure(*pair), e_measure(*pair)):
        assert curve.curve.shape == (256,)
        assert curve.maximum == curve.curve.max()
        assert curve.mean == pytest.approx(curve.curve.mean())
        assert 0 <= curve.curve.min() <= curve.mean + 1e-12 <= curve.maximum + 2e-12


@settings(max_examples=50)
@given(pair=image_pairs(), axis=st.sampled_from([0, 1]))
def test_turning_both_over_changes_nothing(pair, axis):
    turned = [np.flip(image, axis) for image in pair]
    assert mean_absolute_error(*turned) == pytest.approx(mean_absolute_error(*pair))
    assert f_measure(*turned).curve == pytest.approx(f_measure(*pair).curve)
    assert e_measure(*turned).curve == pytest.approx(e_measure(*pair).curve)


@given(pair=image_pairs(), scale=st.floats(0.1, 1))
def test_scaling_a_prediction_changes_nothing(pair, scale):
    pred, gt = pair
    assume(pred.min() != pred.max())
    assert mean_absolute_error(pred / 255 * scale, gt) == pytest.approx(mean_absolute_error(pred, gt))
    assert weighted_f_measure(pred / 255 * scale, gt) == pytest.approx(weighted_f_measure(pred, gt))


@given(pair=image_pairs())
def test_mean_absolute_error_of_the_negatives_is_the_same(pair):
    pred, gt = pair
    assume(pred.min() != pred.max())
    assert mean_absolute_error(255 - pred, ~gt) == pytest.approx(mean_absolute_error(pred, gt))
