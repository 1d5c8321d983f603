"""Cache: exact, never stale, undisturbed by damage and by others."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from dislayers import skeletonize
from dismetrics import METRICS, Evaluator
from dismetrics.evaluate import Record
from dismetrics.evaluation import pool
from dismetrics.evaluation.cache import Cache
from dismetrics.evaluation.pool import Task, evaluate_files

RANDOM = np.random.default_rng(0)
EVERY = tuple(METRICS)


def save(path, array):
    Image.fromarray(array).save(path)
    return path


def pair(folder, name):
    gt = np.kron(RANDOM.random((5, 6)) < 0.5, np.ones((7, 7), bool)).astype(np.uint8) * 255
    files = (
        save(folder / f"gt_{name}.png", gt),
        save(folder / f"pred_{name}.png", RANDOM.integers(0, 256, gt.shape, np.uint8)),
    )
    return Task("subset", name, files[0], files[1:])


@pytest.fixture
def tasks(tmp_path):
    return [pair(tmp_path, name) for name in "abc"]


@pytest.fixture
def measured(monkeypatch):
    """Names in the order of measuring."""
    names, measure = [], pool.measure
    monkeypatch.setattr(pool, "measure", lambda name, *rest: names.append(name) or measure(name, *rest))
    return names


def evaluate(tasks, cache, metrics=EVERY):
    evaluator = Evaluator(metrics)
    for (record,) in evaluate_files(tasks, metrics, 2, cache):
        evaluator.add(record)
    return evaluator


def test_a_second_run_measures_nothing_and_gives_the_same_bits(tasks, tmp_path, measured):
    plain = evaluate(tasks, None)
    first = evaluate(tasks, Cache(tmp_path / "new" / "cache"))
    measured.clear()
    second = evaluate(tasks, Cache(tmp_path / "new" / "cache"))
    assert measured == []
    assert plain.table() == first.table() == second.table()
    assert plain.compute() == first.compute() == second.compute()


def test_values_that_are_no_numbers_survive(tmp_path, tasks):
    record = Record("x", {"s": float("nan"), "hce": 3, "f": np.float64(0.1)}, {"f": np.array([0.1, 1 / 3])})
    files = tasks[0].predictions[0], tasks[0].truth
    Cache(tmp_path / "cache").record("x", *files, EVERY, lambda: record)
    found = Cache(tmp_path / "cache").record("y", *files, EVERY, lambda: pytest.fail("computed"))
    assert found.name == "y"
    assert np.isnan(found.values["s"])
    assert (found.values["hce"], found.values["f"]) == (3, 0.1)
    assert np.array_equal(found.curves["f"], record.curves["f"])


def test_an_interrupted_run_goes_on_where_it_was(tasks, tmp_path, monkeypatch, measured):
    def killed(name, *_):
        raise KeyboardInterrupt

    cache = Cache(tmp_path / "cache")
    evaluate(tasks[:2], cache)
    with monkeypatch.context() as context:
        context.setattr(pool, "measure", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluate(tasks, cache)
    measured.clear()
    evaluate(tasks, cache)
    assert measured == ["subset/c"]


def test_what_has_changed_is_measured_anew(tasks, tmp_path, measured):
    cache = Cache(tmp_path / "cache")
    evaluate(tasks, cache)
    measured.clear()
    pair(tmp_path, "a")
    truth = tasks[1].truth
    os.utime(truth, ns=(0, truth.stat().st_mtime_ns + 1))
    assert evaluate(tasks, cache).table() == evaluate(tasks, None).table()
    assert measured[:2] in (["subset/a", "subset/b"], ["subset/b", "subset/a"])
    assert len(measured) == 2 + 3


def test_other_metrics_are_other_results(tasks, tmp_path):
    cache = Cache(tmp_path / "cache")
    evaluate(tasks, cache, ("s_measure",))
    both = evaluate(tasks, cache, ("s_measure", "mean_absolute_error"))
    assert list(both.compute()) == ["s", "mae"]


def test_other_code_gives_other_results(tasks, tmp_path, measured, monkeypatch):
    evaluate(tasks, Cache(tmp_path / "cache"))
    monkeypatch.setattr("dismetrics.evaluation.cache.version", lambda name: "another")
    measured.clear()
    evaluate(tasks, Cache(tmp_path / "cache"))
    assert len(measured) == 3


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\x00"])
def test_damaged_entries_are_computed_anew(tasks, tmp_path, damage):
    cache = Cache(tmp_path / "cache")
    table = evaluate(tasks, cache).table()
    entries = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(entries) == 6
    for path in entries:
        path.write_bytes(damage)
    assert evaluate(tasks, cache).table() == table
    assert all(path.read_bytes() != damage for path in entries)


def test_two_runs_at_once_do_not_disturb_each_other(tasks, tmp_path):
    table = evaluate(tasks, None).table()
    with ThreadPoolExecutor(4) as runs:
        for evaluator in runs.map(lambda _: evaluate(tasks, Cache(tmp_path / "cache")), range(8)):
            assert evaluator.table() == table
    assert not list((tmp_path / "cache").rglob("*.partial"))


@pytest.mark.parametrize("shape", [(1, 1), (5, 13), (40, 33)])
def test_a_skeleton_comes_back_as_it_was(tmp_path, monkeypatch, shape):
    truth = RANDOM.random(shape) < 0.7
    file = save(tmp_path / "gt.png", truth)
    expected = skeletonize(torch.from_numpy(truth)).numpy()
    assert np.array_equal(Cache(tmp_path / "cache").skeleton(file, truth), expected)
    monkeypatch.setattr("dismetrics.evaluation.cache.skeletonize", lambda mask: pytest.fail("computed"))
    found = Cache(tmp_path / "cache").skeleton(file, truth)
    assert found.dtype == np.bool_
    assert np.array_equal(found, expected)


def test_skeletons_are_made_for_the_human_correction_effort_alone(tasks, tmp_path):
    evaluate(tasks, Cache(tmp_path / "cache"), ("s_measure",))
    assert not list((tmp_path / "cache" / "skeletons").iterdir())
