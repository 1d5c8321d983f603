"""Threads over files: order, exactness, bad files, and what they leave behind."""

import threading

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from dismetrics import METRICS
from dismetrics.evaluation import pool
from dismetrics.evaluation.pool import Task, evaluate_files
from dismetrics.files import ImageFileError

RANDOM = np.random.default_rng(0)


def save(path, array):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(array).save(path)
    return path


@pytest.fixture
def tasks(tmp_path):
    tasks = []
    for number in range(7):
        shape = tuple(RANDOM.integers(20, 60, 2))
        truth = save(tmp_path / "gt" / f"{number}.png", (RANDOM.random(shape) < 0.5).astype(np.uint8) * 255)
        predictions = [
            save(tmp_path / method / f"{number}.png", RANDOM.integers(0, 256, shape, np.uint8)) for method in "ab"
        ]
        tasks.append(Task("subset", str(number), truth, tuple(predictions)))
    return tasks


def flat(outcomes):
    return [
        (record.name, record.values, {key: curve.tobytes() for key, curve in record.curves.items()})
        for row in outcomes
        for record in row
    ]


def test_the_number_of_threads_does_not_change_a_bit(tasks):
    one = flat(evaluate_files(tasks, tuple(METRICS), workers=1))
    assert [name for name, *_ in one] == [f"subset/{number}" for number in range(7) for _ in range(2)]
    for workers in (2, 5, None):
        assert flat(evaluate_files(tasks, tuple(METRICS), workers)) == one


def test_a_file_that_cannot_be_read_spoils_no_other(tasks):
    tasks[1].predictions[1].write_text("no image")
    tasks[2].truth.write_text("no image")
    outcomes = list(evaluate_files(tasks, ["mean_absolute_error"], workers=2))
    bad = [[isinstance(outcome, ImageFileError) for outcome in row] for row in outcomes]
    assert bad == [[False, False], [False, True], [True, True], *[[False, False]] * 4]


def test_images_share_the_cores_not_their_rows(tasks, monkeypatch):
    seen, torch_threads, opencv_threads = [], torch.get_num_threads(), cv2.getNumThreads()
    monkeypatch.setattr(pool, "measure", lambda *_: seen.append((torch.get_num_threads(), cv2.getNumThreads())))
    torch.set_num_threads(3)
    cv2.setNumThreads(2)
    try:
        list(evaluate_files(tasks, ["s_measure"], workers=2))
        assert set(seen) == {(1, 1)}
        later = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert (torch.get_num_threads(), cv2.getNumThreads(), later) == (3, 2, [3])
    finally:
        torch.set_num_threads(torch_threads)
        cv2.setNumThreads(opencv_threads)


def test_no_more_is_measured_once_the_results_are_not_wanted(tasks, monkeypatch):
    measured = []
    monkeypatch.setattr(pool, "measure", lambda name, *_: measured.append(name))
    outcomes = evaluate_files(tasks * 100, ["s_measure"], workers=2)
    next(outcomes)
    outcomes.close()
    assert len(measured) < 700


def test_truths_are_decoded_once_for_all_methods(tasks, monkeypatch):
    read = []
    monkeypatch.setattr(pool, "read_gray", lambda path: read.append(path) or np.zeros((4, 4), np.uint8))
    list(evaluate_files(tasks, ["mean_absolute_error"], workers=2))
    assert sorted(read) == sorted(path for task in tasks for path in (task.truth, *task.predictions))


def test_fewer_than_one_worker_is_refused(tasks):
    with pytest.raises(ValueError, match="workers: expected a number >= 1, got 0"):
        list(evaluate_files(tasks, ["s_measure"], workers=0))
