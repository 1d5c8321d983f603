"""The adapter to torchmetrics behaves as its metrics do, and gives what the evaluator gives."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from dismetrics import Evaluator

METRICS = ("f_measure", "mean_absolute_error")
RANDOM = np.random.default_rng(0)
PRED, GT = RANDOM.integers(0, 256, (4, 9, 11), dtype=np.uint8), RANDOM.random((4, 9, 11)) < 0.4
NAMES = list("abcd")


def averages(numbers, metrics=METRICS):
    evaluator = Evaluator(metrics)
    for number in numbers:
        evaluator.update(PRED[number], GT[number], NAMES[number])
    return evaluator.compute()


@pytest.fixture
def metric():
    pytest.importorskip("torchmetrics")
    from dismetrics.torchmetrics import EvaluatorMetric

    return EvaluatorMetric(METRICS)


def test_it_gives_the_averages_of_the_evaluator(metric):
    metric.update(PRED[:3], GT[:3], NAMES[:3])
    metric.update(PRED[3], GT[3], NAMES[3])
    metric.update(PRED[3], GT[3], NAMES[3])
    assert metric.compute() == averages(range(4))
    assert [row["name"] for row in metric.evaluator().table()] == NAMES


def test_a_step_gives_the_values_of_its_batch_and_adds_them(metric):
    assert metric(PRED[:2], GT[:2], NAMES[:2]) == averages([0, 1])
    assert metric(PRED[2:], GT[2:], NAMES[2:]) == averages([2, 3])
    assert metric.compute() == averages(range(4))


def test_it_resets_pickles_and_refuses(metric):
    metric.update(PRED, GT, NAMES)
    assert pickle.loads(pickle.dumps(metric)).compute() == averages(range(4))
    metric.reset()
    metric.update(PRED[1], GT[1])
    assert metric.compute() == averages([1])
    with pytest.raises(ValueError, match="metrics: expected"):
        type(metric)(("beauty",))


def test_without_torchmetrics_the_extra_is_named():
    code = "import sys; sys.modules['torchmetrics'] = None; import dismetrics.torchmetrics"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'dislayers[torchmetrics]'" in ended.stderr
