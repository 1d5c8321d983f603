"""Inputs of every metric: dtypes, shapes, batches, refusals."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import dismetrics
from dismetrics.pairs import Pair, pairs

METRICS = [
    dismetrics.mean_absolute_error,
    dismetrics.f_measure,
    dismetrics.weighted_f_measure,
    dismetrics.s_measure,
    dismetrics.e_measure,
    dismetrics.human_correction_effort,
    dismetrics.boundary_iou,
    dismetrics.boundary_iou_curve,
    dismetrics.mean_boundary_accuracy,
]
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)


@st.composite
def image_pairs(draw, shapes=SHAPES):
    shape = draw(shapes)
    return draw(hnp.arrays(np.uint8, shape)), draw(hnp.arrays(np.bool_, shape))


def equal(first, second):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(as_tuple(first), as_tuple(second), strict=True))


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=25, deadline=None)
@given(pair=image_pairs())
def test_one_pair_in_any_form_gives_one_value(metric, pair):
    pred, gt = pair
    expected = metric(pred, gt)
    truth = gt.astype(np.uint8)
    assert equal(metric(pred, truth * 255), expected)
    assert equal(metric(pred, truth), expected)  # stored as 0 and 1
    assert equal(metric(pred / 255, gt), expected)
    assert equal(metric(torch.tensor(pred), torch.tensor(gt)), expected)
    assert equal(metric(torch.tensor(pred / 255, requires_grad=True), torch.tensor(truth)), expected)
    assert equal(metric(np.asfortranarray(pred), np.asfortranarray(gt)), expected)
    assert equal(metric(*(np.flip(np.flip(image).copy()) for image in pair)), expected)  # negative strides


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=10, deadline=None)
@given(data=st.data(), shape=SHAPES)
def test_a_batch_is_its_images(metric, data, shape):
    pred, gt = (
        np.stack(images) for images in zip(*(data.draw(image_pairs(st.just(shape))) for _ in range(3)), strict=True)
    )
    together, singly = as_tuple(metric(pred, gt)), [as_tuple(metric(p, g)) for p, g in zip(pred, gt, strict=True)]
    for field, values in enumerate(together):
        assert values.shape[0] == 3
        assert np.array_equal(values, [result[field] for result in singly], equal_nan=True)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=15, deadline=None)
@given(pair=image_pairs())
def test_inputs_stay_as_they_are(metric, pair):
    before = [image.copy() for image in pair]
    metric(*pair)
    assert all(map(np.array_equal, pair, before))


@given(pair=image_pairs())
def test_histogram_and_positives_count_every_pixel(pair):
    shared = Pair(*pair)
    true, false = shared.positives
    assert shared.histogram.sum() == shared.size
    assert true[-1] == shared.foreground
    assert false[-1] == shared.size - shared.foreground
    assert (np.diff(true) >= 0).all()
    assert (np.diff(false) >= 0).all()


@given(pair=image_pairs())
def test_normalized_spans_zero_to_one_unless_constant(pair):
    pred, gt = pair
    normalized = Pair(pred, gt).normalized
    if pred.min() == pred.max():
        assert (normalized == pred / 255).all()
    else:
        assert normalized.min() == 0
        assert normalized.max() == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_float_is_foreground_strictly_above_128_of_255(dtype):
    values = torch.tensor([[127.0, 128.0, 130.0]]).to(dtype) / 255
    if dtype is not torch.bfloat16:  # 127 and 128 of 255 are one number there
        assert pairs(values, torch.ones(1, 3, dtype=torch.bool))[0].mask.tolist() == [[False, False, True]]
    assert pairs(values, torch.ones(1, 3, dtype=torch.bool))[0].mask[0, 2]


def test_a_boolean_prediction_is_black_and_white():
    gt = np.array([[True, False, True]])
    assert dismetrics.mean_absolute_error(gt, gt) == 0


def test_truths_of_a_batch_are_read_one_by_one():
    gt = np.array([[[0, 1]], [[0, 255]], [[1, 255]]], np.uint8)
    assert [pair.truth.tolist() for pair in pairs(gt, gt)] == [[[False, True]], [[False, True]], [[False, True]]]


MASK = np.zeros((4, 5), np.bool_)


@pytest.mark.parametrize(
    ("pred", "gt", "error", "message"),
    [
        (MASK, MASK.astype(np.float32), TypeError, "gt: expected bool or uint8, got float32"),
        (MASK.astype(np.int64), MASK, TypeError, "pred: expected floats .* got int64"),
        (MASK.tolist(), MASK, TypeError, "pred: expected a NumPy array or a torch tensor, got list"),
        (MASK, MASK[:, :3], ValueError, r"\(4, 5\) and \(4, 3\)"),
        (MASK[0], MASK[0], ValueError, r"expected \(H, W\) or \(B, H, W\)"),
        (MASK[:0], MASK[:0], ValueError, "at least a pixel"),
        (np.full((4, 5), 1.5), MASK, ValueError, r"floats in \[0, 1\], got values from 1 to 1.5"),
        (np.full((4, 5), np.nan), MASK, ValueError, r"floats in \[0, 1\], got values from nan"),
        (np.full((4, 5), -0.1), MASK, ValueError, "got values from -0.1"),
    ],
)
def test_bad_input_is_refused_by_name(pred, gt, error, message):
    with pytest.raises(error, match=message):
        dismetrics.mean_absolute_error(pred, gt)
