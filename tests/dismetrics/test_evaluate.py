"""Evaluator: averages of a set, mergeable without loss."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dismetrics
from dismetrics import DIS_METRICS, METRICS, Evaluator
from dismetrics.evaluate import Record

RANDOM = np.random.default_rng(0)
SET = [(RANDOM.integers(0, 256, (9, 11), dtype=np.uint8), RANDOM.random((9, 11)) < 0.4) for _ in range(6)]
NAMES = [f"image {number}" for number in range(len(SET))]
CURVES = ("f_measure", "mean_absolute_error")


def counted(numbers, metrics="all", named=True):
    evaluator = Evaluator(metrics)
    for number in numbers:
        evaluator.update(*SET[number], NAMES[number] if named else None)
    return evaluator


def test_averages_are_those_of_the_published_tables():
    averages = counted(range(6)).compute()
    f = [dismetrics.f_measure(*pair) for pair in SET]
    e = [dismetrics.e_measure(*pair) for pair in SET]
    curve = np.mean([one.curve for one in f], axis=0)
    assert averages["max_f"] == pytest.approx(curve.max())
    assert averages["max_f"] < np.mean([one.maximum for one in f])
    assert averages["mean_f"] == pytest.approx(curve.mean())
    assert averages["adaptive_f"] == pytest.approx(np.mean([one.adaptive for one in f]))
    assert averages["max_e"] == pytest.approx(np.mean([one.curve for one in e], axis=0).max())
    assert averages["mean_e"] == pytest.approx(np.mean([one.mean for one in e]))
    assert averages["mae"] == pytest.approx(np.mean([dismetrics.mean_absolute_error(*pair) for pair in SET]))
    assert averages["s"] == pytest.approx(np.mean([dismetrics.s_measure(*pair) for pair in SET]))
    assert averages["weighted_f"] == pytest.approx(np.mean([dismetrics.weighted_f_measure(*pair) for pair in SET]))
    assert averages["hce"] == pytest.approx(np.mean([dismetrics.human_correction_effort(*pair).total for pair in SET]))


def test_the_maximum_can_be_each_image_s_own():
    evaluator = counted(range(6))
    by_set, by_image = evaluator.compute(), evaluator.compute(maximum="image")
    assert by_image["max_f"] == pytest.approx(np.mean([dismetrics.f_measure(*pair).maximum for pair in SET]))
    assert {key for key in by_set if by_set[key] != by_image[key]} <= {key for key in by_set if key.startswith("max_")}
    with pytest.raises(ValueError, match="maximum: expected"):
        evaluator.compute(maximum="dataset")


def test_predictions_can_be_taken_as_they_are():
    pred, gt = np.full((8, 9), 51, np.uint8), np.arange(72).reshape(8, 9) > 40
    pred[2:5] = 204
    evaluator = Evaluator(DIS_METRICS, normalize=False)
    evaluator.update(pred, gt)
    values = evaluator.compute()
    assert values["mae"] == pytest.approx(np.abs(pred / 255 - gt).mean())
    assert values["mae"] == dismetrics.mean_absolute_error(pred / 255, gt, normalize=False)
    assert evaluator.curves()["f"][0] == 0
    for key, function in (("s", "s_measure"), ("weighted_f", "weighted_f_measure")):
        same, stretched = (getattr(dismetrics, function)(pred, gt, normalize) for normalize in (False, True))
        assert values[key] == same != stretched
    with pytest.raises(ValueError, match="normalize"):
        evaluator.merge(Evaluator(DIS_METRICS))


def test_keys_are_stable():
    assert list(counted([0], DIS_METRICS).compute()) == [
        *("max_f", "mean_f", "adaptive_f", "binary_f", "weighted_f", "mae", "s"),
        *("max_e", "mean_e", "adaptive_e", "binary_e"),
        *("hce", "hce_fp_points", "hce_fp_regions", "hce_fn_points", "hce_fn_regions"),
    ]
    assert list(counted([0], CURVES).compute()) == ["max_f", "mean_f", "adaptive_f", "binary_f", "mae"]
    assert list(counted([0], "s_measure").compute()) == ["s"]


def test_only_the_chosen_metrics_are_computed(monkeypatch):
    monkeypatch.setitem(METRICS, "human_correction_effort", lambda image: pytest.fail("computed"))
    counted([0, 1], CURVES)


@settings(max_examples=30, deadline=None)
@given(
    parts=st.lists(st.lists(st.integers(0, 5), max_size=6), min_size=1, max_size=4),
    metrics=st.sampled_from([CURVES, "all"]),
)
def test_merging_is_exact_and_counts_a_name_once(parts, metrics):
    merged = Evaluator(metrics)
    for part in parts:
        merged.merge(pickle.loads(pickle.dumps(counted(part, metrics))))
    images = sorted({number for part in parts for number in part}, reverse=True)
    assert len(merged) == len(images)
    if images:
        assert merged.compute() == counted(images, metrics).compute()


def test_unnamed_images_all_count():
    evaluator = counted([0, 0], CURVES, named=False).merge(counted([0], CURVES, named=False))
    assert len(evaluator) == 3
    assert [row["name"] for row in evaluator.table()] == [None] * 3


def test_a_name_counted_before_is_passed_over():
    evaluator = counted([0], CURVES)
    evaluator.update(*SET[1], NAMES[0])
    assert evaluator.compute() == counted([0], CURVES).compute()


def test_merging_with_itself_changes_nothing_but_unnamed_images():
    evaluator = counted([0, 1], CURVES)
    assert len(evaluator.merge(evaluator)) == 2


def test_a_batch_counts_as_its_images():
    pred, gt = (torch.tensor(np.stack(images)) for images in zip(*SET, strict=True))
    evaluator = Evaluator(device="cpu")
    evaluator.update(pred, gt, NAMES)
    assert evaluator.compute() == counted(range(6)).compute()
    assert evaluator.table() == counted(range(6)).table()


def test_the_table_has_the_values_of_each_image():
    (row,) = counted([2]).table()
    assert row["name"] == NAMES[2]
    assert row["max_f"] == dismetrics.f_measure(*SET[2]).maximum
    assert row["hce"] == dismetrics.human_correction_effort(*SET[2]).total


def test_a_record_is_read_as_it_was_written():
    record = counted([3]).records[0]
    values = record.values | {"s": float("nan"), "hce": np.int64(3)}
    found = Record.from_json(record._replace(values=values).to_json())
    assert found.name == record.name
    np.testing.assert_equal(found.values, values)
    assert all(np.array_equal(found.curves[key], curve) for key, curve in record.curves.items())
    assert all(curve.dtype == np.float64 for curve in found.curves.values())


def test_reset_forgets():
    evaluator = counted([0, 1], CURVES)
    evaluator.reset()
    assert len(evaluator) == 0
    evaluator.update(*SET[0], NAMES[0])
    assert evaluator.compute() == counted([0], CURVES).compute()


def test_the_state_is_small():
    assert len(pickle.dumps(counted(range(6), DIS_METRICS))) < 6 * 6000


@pytest.mark.parametrize("metrics", ["max_f", ("f_measure", "hce"), ()])
def test_unknown_metrics_are_refused(metrics):
    with pytest.raises(ValueError, match='metrics: expected "all" or names out of f_measure'):
        Evaluator(metrics)


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="no image has been counted"):
        Evaluator().compute()
    with pytest.raises(ValueError, match="other: expected an evaluator of"):
        Evaluator("s_measure").merge(Evaluator())
    with pytest.raises(ValueError, match="name: expected 1 names, one an image, got 2"):
        Evaluator().update(*SET[0], ["a", "b"])
