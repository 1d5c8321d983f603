"""IoU, Dice, rates, kappa, multi-scale IoU, context measure and IS-Net's own: official values, and what must hold."""

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import dismetrics
from dismetrics.iou import iou_at

GOLDEN = Path(__file__).parent / "golden"
EXPECTED = dict(np.load(GOLDEN / "thresholds.npz"))
OF_COUNTS = [key for key in EXPECTED if key not in ("multiscale_iou", "context_measure")]
CURVES = [*OF_COUNTS, "multiscale_iou"]
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=14)


@functools.cache
def small_pairs():
    stored = np.load(GOLDEN / "fuzz.npz")
    ends = np.cumsum(stored["shapes"].prod(axis=1))[:-1]
    parts = (np.split(stored[key], ends) for key in ("pred", "gt"))
    return [[part.reshape(shape) for part in pair] for *pair, shape in zip(*parts, stored["shapes"], strict=True)]


@st.composite
def image_pairs(draw):
    shape = draw(SHAPES)
    return draw(hnp.arrays(np.uint8, shape)), draw(hnp.arrays(np.bool_, shape))


@pytest.mark.parametrize("key", CURVES)
def test_curves_equal_pysodmetrics(key):
    for (pred, gt), expected in zip(small_pairs(), EXPECTED[key], strict=True):
        values = getattr(dismetrics, key)(pred, gt)
        four = values.maximum, values.mean, values.adaptive, values.binary
        np.testing.assert_allclose(four, expected, rtol=0, atol=1e-12)


def test_context_measure_equals_pysodmetrics():
    for (pred, gt), expected in zip(small_pairs(), EXPECTED["context_measure"], strict=True):
        assert dismetrics.context_measure(pred, gt) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("key", CURVES)
def test_batches_floats_and_tensors_give_the_same(key):
    metric = getattr(dismetrics, key)
    random = np.random.default_rng(0)
    pred, gt = random.integers(0, 256, (2, 12, 15), np.uint8), random.random((2, 12, 15)) < 0.5
    one = metric(pred[1], gt[1])
    batch = metric(torch.tensor(pred), torch.tensor(gt))
    assert batch.curve.shape == (2, *one.curve.shape)
    for together, alone, of_floats in zip(batch, one, metric(pred[1] / 255, gt[1]), strict=True):
        np.testing.assert_array_equal(together[1], alone)
        np.testing.assert_allclose(of_floats, alone, atol=1e-12)


def test_counts_of_masks_by_hand():
    pred = np.array([[129, 255, 128, 0]], np.uint8)
    gt = np.array([[True, False, True, False]])
    assert dismetrics.confusion(pred, gt) == (1, 1, 1, 1)
    counts = dismetrics.confusion(np.stack([pred, 255 * gt.astype(np.uint8)]), np.stack([gt, gt]))
    np.testing.assert_array_equal(counts, [[1, 2], [1, 0], [1, 2], [1, 0]])
    np.testing.assert_allclose(iou_at(counts), [1 / 3, 1])


def test_values_by_hand():
    pred = np.array([[255, 255, 0, 0, 0]], np.uint8)
    gt = np.array([[True, False, True, False, False]])
    expected = {
        "iou": 1 / 3,
        "dice": 1 / 2,
        "precision": 1 / 2,
        "recall": 1 / 2,
        "specificity": 2 / 3,
        "false_positive_rate": 1 / 3,
        "balanced_error_rate": 1 - (1 / 2 + 2 / 3) / 2,
        "overall_accuracy": 3 / 5,
        "kappa": (3 / 5 - 13 / 25) / (12 / 25),
    }
    for key, value in expected.items():
        values = getattr(dismetrics, key)(pred, gt)
        assert (values.adaptive, values.binary) == (pytest.approx(value), pytest.approx(value)), key


@given(pair=image_pairs())
def test_relations(pair):
    iou, dice, recall, precision, specificity, accuracy, ber, fpr = (
        getattr(dismetrics, key)(*pair).curve
        for key in (
            *("iou", "dice", "recall", "precision", "specificity"),
            *("overall_accuracy", "balanced_error_rate", "false_positive_rate"),
        )
    )
    assert (iou <= dice + 1e-12).all()
    np.testing.assert_allclose(dice, 2 * iou / (1 + iou), atol=1e-12)
    assert (iou <= np.minimum(precision, recall) + 1e-12).all()
    np.testing.assert_allclose(ber, 1 - (recall + specificity) / 2, atol=1e-12)
    for rates in (recall, specificity, accuracy, ber, fpr):
        assert ((rates >= 0) & (rates <= 1)).all()
    assert (np.diff(recall) >= 0).all()
    assert (np.diff(fpr) >= 0).all()
    if not pair[1].all():
        np.testing.assert_allclose(fpr, 1 - specificity, atol=1e-12)


@given(gt=hnp.arrays(np.bool_, SHAPES))
def test_a_perfect_prediction(gt):
    assume(gt.any() and not gt.all())
    for key in ("iou", "dice", "precision", "recall", "specificity", "overall_accuracy", "multiscale_iou"):
        assert getattr(dismetrics, key)(gt, gt).binary == pytest.approx(1), key
    assert dismetrics.balanced_error_rate(gt, gt).binary == pytest.approx(0)
    assert dismetrics.mean_squared_error(gt, gt) == 0


@given(gt=hnp.arrays(np.bool_, SHAPES))
def test_masks_have_one_value_above_threshold_zero(gt):
    pred = np.roll(gt, 1)
    assume(pred.any() and not pred.all())
    for key in OF_COUNTS:
        values = getattr(dismetrics, key)(pred, gt)
        assert (values.curve[:255] == values.binary).all()
        assert values.adaptive == values.binary


@pytest.mark.parametrize("level", [0, 100, 255])
def test_constant_predictions_and_uniform_truths_have_values(level):
    pred = np.full((4, 5), level, np.uint8)
    for gt in (np.zeros((4, 5), np.bool_), np.ones((4, 5), np.bool_), np.eye(4, 5, dtype=np.bool_)):
        for key in CURVES:
            assert np.isfinite(getattr(dismetrics, key)(pred, gt).curve).all(), key
        assert np.isfinite(dismetrics.context_measure(pred, gt))
    assert dismetrics.iou(pred, np.zeros((4, 5), np.bool_)).maximum == 0


def sobel_edges(mask):
    padded = np.pad(mask.astype(int), 1)
    smooth = np.array([1, 2, 1])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    across = np.einsum("ijab,a,b->ij", windows, smooth, [-1, 0, 1])
    return (across != 0) | (np.einsum("ijab,b,a->ij", windows, smooth, [-1, 0, 1]) != 0)


def cells(edges, size):
    padded = np.pad(edges, [(-length % size, 0) for length in edges.shape])
    return padded.reshape(padded.shape[0] // size, size, -1, size).any(axis=(1, 3))


@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (40, 33), (20, 600), (530, 17)])
def test_multiscale_iou_by_definition(shape):
    random = np.random.default_rng(3)
    pred, gt = random.integers(0, 256, shape, np.uint8), random.random(shape) < 0.3
    pred.flat[[0, -1]] = 0, 255
    truth = sobel_edges(gt)
    curve = dismetrics.multiscale_iou(pred, gt, dtype=np.float64).curve
    steps = (np.arange(256) / 255 * 255).astype(int)[pred] if pred.size > 1 else pred
    for threshold in (0, 1, 40, 254, 255, 256):
        found = sobel_edges(steps >= threshold)
        ratios = [
            ((cells(found, 2**n) & cells(truth, 2**n)).sum() + 1) / (cells(truth, 2**n).sum() + 1) for n in range(10)
        ]
        assert curve[256 - threshold] == pytest.approx(np.trapezoid(ratios, dx=1 / 9))


def test_multiscale_iou_counts_as_asked():
    random = np.random.default_rng(0)
    gt = random.random((80, 80)) < 0.5
    halves, exact = (dismetrics.multiscale_iou(gt, gt, dtype=dtype).binary for dtype in (np.float16, np.float64))
    assert exact == 1
    assert halves == pytest.approx(1, abs=1e-3)
    assert halves != 1
    with pytest.raises(ValueError, match="levels: expected an integer >= 2, got 1"):
        dismetrics.multiscale_iou(gt, gt, levels=1)


@given(pair=image_pairs())
def test_context_measure_has_bounds_and_ignores_direction(pair):
    pred, gt = pair
    value = dismetrics.context_measure(pred, gt)
    assert 0 <= value <= 1 + 1e-9
    assert dismetrics.context_measure(pred.T, gt.T) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("gt", [np.eye(9, dtype=np.bool_), np.eye(9, dtype=np.bool_)[::-1], np.eye(1, 9, 3) > 0])
def test_context_measure_of_lines_and_points(gt):
    good, bad = dismetrics.context_measure(gt, gt), dismetrics.context_measure(~gt, gt)
    assert 0 <= bad < good <= 1


def test_isnet_measures_equal_its_formulas():
    random = np.random.default_rng(1)
    pred, gt = random.integers(0, 256, (50, 60), np.uint8), random.integers(0, 256, (50, 60), np.uint8)
    grey, true = torch.tensor(pred).float(), torch.tensor(gt > 128)
    tp, fp = (torch.histc(grey[where], 255, 0, 255).flip(0).cumsum(0) for where in (true, ~true))
    precision, recall = tp / (tp + fp + 1e-4), tp / (true.sum() + 1e-4)
    f = 1.3 * precision * recall / (0.3 * precision + recall + 1e-4)
    found = dismetrics.isnet_f_measure(pred, gt)
    np.testing.assert_allclose(found.curve, f, rtol=1e-6)
    np.testing.assert_allclose(found.precision, precision, rtol=1e-6)
    np.testing.assert_allclose(found.recall, recall, rtol=1e-6)
    assert found.maximum == pytest.approx(float(f.max()))
    np.testing.assert_allclose(dismetrics.isnet_f_measure(pred / np.float64(255), gt).curve, f, rtol=0.02)
    assert dismetrics.isnet_mean_absolute_error(pred, gt) == pytest.approx(np.abs(pred / 255 - gt / 255).mean())
    assert dismetrics.isnet_mean_absolute_error(pred[None] / 255, gt[None]).shape == (1,)
    of_set = dismetrics.isnet_f_measure_of_set(np.stack([found.precision] * 2), np.stack([found.recall] * 2))
    np.testing.assert_allclose(of_set, f, rtol=1e-3)


def test_mean_squared_error_stretches_the_prediction():
    pred = np.array([[50, 100], [150, 250]], np.uint8)
    gt = np.array([[False, False], [True, True]])
    assert dismetrics.mean_squared_error(pred, gt) == pytest.approx((0 + 0.25**2 + 0.5**2 + 0) / 4)


def test_all_metrics_are_evaluated_and_six_by_the_command_line():
    evaluator = dismetrics.Evaluator()
    evaluator.update(*small_pairs()[0])
    averages = evaluator.compute()
    keys = "f", "e", "iou", "dice", "precision", "recall", "specificity", "fpr", "ber", "accuracy", "kappa"
    for key in (*keys, "multiscale_iou"):
        assert {f"{part}_{key}" for part in ("max", "mean", "adaptive", "binary")} <= set(averages)
    assert {"mse", "context"} <= set(averages)
    assert len(dismetrics.DIS_METRICS) == 6
