"""The official values of 82 small synthetic pairs (PySODMetrics 1.6.2, and DIS's own HCE script)."""

from pathlib import Path

import numpy as np
import pytest

import dismetrics

GOLDEN = np.load(Path(__file__).parent / "golden" / "fuzz.npz")
SHAPES = GOLDEN["shapes"]


def images(key):
    ends = np.cumsum(SHAPES.prod(axis=1))[:-1]
    return [flat.reshape(shape) for flat, shape in zip(np.split(GOLDEN[key], ends), SHAPES, strict=True)]


PAIRS = list(zip(images("pred"), images("gt"), strict=True))
MEASURES = {
    "mae": dismetrics.mean_absolute_error,
    "f": lambda pred, gt: dismetrics.f_measure(pred, gt)[:3],
    "wf": dismetrics.weighted_f_measure,
    "s": dismetrics.s_measure,
    "e": lambda pred, gt: dismetrics.e_measure(pred, gt)[:3],
}


@pytest.mark.parametrize("depth", [np.uint8, np.float64])
@pytest.mark.parametrize("key", MEASURES)
def test_measures_equal_pysodmetrics(key, depth):
    for (pred, gt), expected in zip(PAIRS, GOLDEN[f"gold_{key}"], strict=True):
        pred = pred if depth is np.uint8 else pred / 255
        np.testing.assert_allclose(np.atleast_1d(MEASURES[key](pred, gt)), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("depth", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize(("key", "distance"), [("hce", "line"), ("hce_seg", "segment")])
def test_human_correction_effort_equals_the_official_script(key, distance, depth):
    for (pred, gt), expected in zip(PAIRS, GOLDEN[f"gold_{key}"], strict=True):
        pred = pred if depth is np.uint8 else pred.astype(depth) / depth(255)
        assert dismetrics.human_correction_effort(pred, gt, distance=distance) == tuple(expected)
