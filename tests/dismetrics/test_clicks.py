"""Positions of the clicks: as many as the human correction effort counts, each where it should be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dismetrics import human_correction_effort
from dismetrics.clicks import correction_clicks

PATCHES = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape), st.integers(1, 8))
)


@settings(max_examples=200, deadline=None)
@given(
    patches=PATCHES,
    relax=st.integers(0, 3),
    epsilon=st.sampled_from([0, 1.0, 2.0]),
    distance=st.sampled_from(["line", "segment"]),
)
def test_there_are_as_many_as_the_metric_counts(patches, relax, epsilon, distance):
    *masks, scale = patches
    pred, gt = (np.kron(mask, np.ones((scale, scale), bool)) for mask in masks)
    clicks = correction_clicks(pred, gt, relax, epsilon, distance)
    *counts, total = human_correction_effort(pred, gt, relax, epsilon, distance)
    assert [len(part) for part in clicks] == counts
    assert sum(map(len, clicks)) == total
    for part, wrong in zip(clicks, (pred & ~gt, pred & ~gt, gt & ~pred, gt & ~pred), strict=True):
        assert part.dtype == np.int64
        assert wrong[tuple(part.T)].all()


def test_a_missed_object_is_clicked_in_its_middle():
    gt = np.zeros((80, 90), np.bool_)
    gt[10:41, 20:51] = True
    gt[10:41, 60:71] = True
    pred = gt.copy()
    pred[10:41, 20:51] = False
    clicks = correction_clicks(pred, gt)
    assert [len(part) for part in clicks] == list(human_correction_effort(pred, gt))[:4]
    assert clicks.fp_points.size == clicks.fp_regions.size == 0
    false_object = correction_clicks(gt, pred)
    assert false_object.fp_regions.tolist() == [[25, 35]]


def test_soft_predictions_and_bad_arguments_are_as_in_the_metric():
    gt = np.zeros((30, 40), np.uint8)
    gt[5:20, 5:30] = 255
    assert [len(part) for part in correction_clicks(gt / 255.0, gt)] == [0, 0, 0, 0]
    with pytest.raises(ValueError, match="relax must be"):
        correction_clicks(gt, gt, relax=-1)
    with pytest.raises(ValueError, match="distance must be"):
        correction_clicks(gt, gt, distance="arc")
    with pytest.raises(ValueError, match="one image"):
        correction_clicks(gt[None], gt[None])
