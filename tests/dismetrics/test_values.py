"""What is counted of a prediction, against definitions on whole images in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import dismetrics
from dismetrics import values
from dismetrics.pairs import Pair
from dismetrics.spread import Spread

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20)
DTYPES = st.sampled_from([np.uint8, np.float16, np.float32, np.float64])


@st.composite
def image_pairs(draw, dtypes=DTYPES):
    shape, random = draw(SHAPES), np.random.default_rng(draw(st.integers(0, 10**6)))
    dtype, few = draw(dtypes), draw(st.booleans())
    pred = random.integers(0, 4, shape) * 40 + 20 if few else random.integers(0, 256, shape)
    pred = pred.astype(dtype) if dtype == np.uint8 else (pred / draw(st.sampled_from([255, 300]))).astype(dtype)
    return pred, random.random(shape) < draw(st.sampled_from([0, 0.1, 0.5, 1]))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(values, "BLOCK", 37)


def as_float64(pred):
    if pred.dtype == np.uint8:
        return pred / 255
    levels = np.rint(pred.astype(np.float64) * 255)
    came_from_levels = (levels.astype(pred.dtype) / pred.dtype.type(255) == pred).all()
    return levels / 255 if came_from_levels else pred.astype(np.float64)


def stretched(pred):
    pred = as_float64(pred)
    return (pred - pred.min()) / (pred.max() - pred.min()) if pred.max() > pred.min() else pred


def centroid_quadrants(gt):
    """As PySODMetrics cuts them."""
    y, x = (np.round(index.mean()).astype(int) + 1 if gt.any() else None for index in np.nonzero(gt))
    return [np.s_[:y, :x], np.s_[:y, x:], np.s_[y:, :x], np.s_[y:, x:]] if gt.any() else [np.s_[:, :]]


@settings(deadline=None)
@given(pair=image_pairs())
def test_spreads_are_means_and_variances_of_the_quadrants(pair):
    pred, gt = pair
    shared, normalized = Pair(pred, gt), stretched(pred)
    for i, part in enumerate(centroid_quadrants(gt)):
        for truth in (0, 1):
            count, mean, squares = (x[i, truth] for x in shared.spread)
            inside = normalized[part][gt[part] == truth]
            assert count == inside.size
            if inside.size:
                assert mean == pytest.approx(inside.mean(), abs=1e-14)
                assert squares == pytest.approx(inside.var() * inside.size, abs=1e-12)
                assert squares == 0 or np.ptp(inside) > 0


@settings(deadline=None)
@given(pair=image_pairs())
def test_counts_are_those_of_the_whole_image(pair):
    pred, gt = pair
    shared, normalized = Pair(pred, gt), stretched(pred)
    steps = (normalized * 255).astype(np.uint8)
    assert shared.histogram.tolist() == [np.bincount(steps[gt == truth], minlength=256).tolist() for truth in (0, 1)]
    found = normalized >= min(2 * normalized.mean(), 1)
    assert shared.adaptive_positives == ((found & gt).sum(), (found & ~gt).sum())
    assert (shared.normalized == normalized).all()
    assert dismetrics.mean_absolute_error(pred, gt) == pytest.approx(np.abs(normalized - gt).mean(), abs=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_of_grey_levels_are_read_as_these(dtype):
    random = np.random.default_rng(0)
    for _ in range(30):
        levels, gt = random.integers(30, 201, (9, 14)).astype(np.uint8), random.random((9, 14)) < 0.5
        from_floats = Pair(levels.astype(dtype) / dtype(255), gt)
        assert (from_floats.histogram == Pair(levels, gt).histogram).all()
        assert from_floats.adaptive_positives == Pair(levels, gt).adaptive_positives


@pytest.mark.parametrize("scale", [1, 0.9])
def test_where_rounding_decides_at_the_adaptive_threshold_it_is_the_official_code_s(scale):
    sides = set()
    for apart, level in [(3, 170), (5, 102), (6, 85), (10, 51), (15, 34)]:
        for count in range(1, 30):
            # Twice the mean is the level: 2 (count level + 255) = (2 count + apart) level.
            pred = np.array([[level] * count + [255] + [0] * (count + apart - 1)], np.uint8)
            pred = pred if scale == 1 else pred / 255 * scale
            normalized = stretched(pred)
            found = normalized >= 2 * normalized.mean()
            sides.add(int(found.sum()) > 1)
            assert Pair(pred, np.ones(pred.shape, np.bool_)).adaptive_positives == (found.sum(), 0)
    assert sides == {False, True}


@settings(deadline=None)
@given(
    groups=hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(0, 6)), elements=st.floats(0, 1)),
)
def test_pooled_spreads_are_those_of_all_values(groups):
    each = Spread(*map(np.array, zip(*map(Spread.of, groups), strict=True)))
    count, mean, squares = each.pooled()
    assert count == groups.size
    assert mean == pytest.approx(groups.mean() if groups.size else 0)
    assert squares == pytest.approx(groups.var() * groups.size if groups.size else 0, abs=1e-12)


def test_equal_values_have_no_spread():
    groups = [Spread.of(np.full(n, 0.1)) for n in (3, 0, 7)]
    pooled = Spread(*map(np.array, zip(*groups, strict=True))).pooled()
    assert pooled == (10, 0.1, 0)
