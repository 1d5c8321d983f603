"""Whatever typed input comes, the ops and bindings return what it means or raise; none crashes.

``DISLAYERS_FUZZ=20 python -m pytest tests/test_entry_points.py`` tries 20 times as many cases.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dislayers
import dismetrics
from dislayers._runtime.native import extension

TIMES = int(os.environ.get("DISLAYERS_FUZZ", "1"))
ROOT = Path(__file__).resolve().parent.parent

native_only = pytest.mark.skipif(extension is None, reason="the extension is not there")


def fuzz(cases: int) -> settings:
    return settings(max_examples=cases * TIMES, deadline=None)


@native_only
def test_bindings_return_or_refuse() -> None:
    seed, count = int.from_bytes(os.urandom(4), "big"), 2000 * TIMES
    command = [sys.executable, "-m", "tests.raw_bindings", str(seed)]
    done = subprocess.run([*command, str(count)], cwd=ROOT, capture_output=True, text=True, timeout=60 * TIMES)
    last = (done.stdout.splitlines() or ["nothing"])[-1]
    repeat = f"{' '.join(command)} 1 {last.split()[0]}"
    assert done.returncode == 0, f"{last}\n{done.stderr}\nexit status {done.returncode}, repeat with: {repeat}"


@native_only
def test_every_binding_is_fuzzed() -> None:
    from tests.raw_bindings import BINDINGS

    assert {f"{binding.__name__}_cpu" for binding in BINDINGS} == {x for x in dir(extension) if x.endswith("_cpu")}


# How an image of bytes may lie in memory; each takes and gives (..., H, W) of the same values.
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": torch.clone,
    "sliced": lambda x: x.new_full([n + 3 for n in x.shape], 7)[(slice(1, -2),) * x.ndim].copy_(x),
    "every second": lambda x: x.new_full([2 * n for n in x.shape], 7)[(slice(None, None, 2),) * x.ndim].copy_(x),
    "transposed": lambda x: x.mT.contiguous().mT,
    "batch last": lambda x: x.movedim(0, -1).contiguous().movedim(-1, 0),
    "huge strides": lambda x: (
        torch.empty_strided(x.shape, [4096 + 512 * i for i in range(x.ndim)][::-1]).to(x).copy_(x)
    ),
}
SIDES = st.integers(0, 12) | st.sampled_from([1, 63, 64, 65, 130, 600])


@st.composite
def shapes(draw: st.DrawFn, sides: st.SearchStrategy[int] = SIDES, most_batch_dims: int = 2) -> tuple[int, ...]:
    batch = draw(st.lists(st.integers(0, 3), max_size=most_batch_dims))
    height, width = draw(sides), draw(sides)
    return (*batch, height if width < 100 else min(height, 5), width)


def bytes_of(draw: st.DrawFn, shape: tuple[int, ...]) -> Tensor:
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    is_set = generator.integers(0, 100, shape) < draw(st.sampled_from([0, 1, 50, 99, 100]))
    return torch.from_numpy(generator.integers(1, 256, shape).astype(np.uint8) * is_set)


@st.composite
def masks(draw: st.DrawFn, count: int = 1) -> list[tuple[Tensor, Tensor]]:
    """Masks of one shape, uint8 or bool with any bytes, expanded or in any layout; and each clean and contiguous."""
    shape = draw(shapes())
    return [draw(laid_out(shape)) for _ in range(count)]


@st.composite
def laid_out(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    if draw(st.integers(0, 4)) == 0:
        expanded = tuple(min(n, 1) if draw(st.booleans()) else n for n in shape)
        mask = bytes_of(draw, expanded).expand(shape)
    else:
        mask = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](bytes_of(draw, shape))
    return mask.view(torch.bool) if draw(st.booleans()) else mask, (mask != 0).contiguous()


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def flat(result: Any) -> list[Tensor]:
    return list(result) if isinstance(result, tuple) else [result]


def assert_same(actual: Any, expected: Any) -> None:
    torch.testing.assert_close(flat(actual), flat(expected), rtol=0, atol=0, equal_nan=True, check_stride=False)


def options(**choices: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: st.sampled_from(values) for name, values in choices.items()})


ITERATIONS = [0, 1, 3, 70, 10**9, 2**62]
OPS: dict[str, tuple[Callable[..., Any], st.SearchStrategy[dict[str, Any]]]] = {
    "skeletonize": (dislayers.skeletonize, options()),
    "moments": (dislayers.moments, options()),
    "connected_components": (dislayers.connected_components, options(connectivity=[4, 8])),
    "distance_transform": (dislayers.distance_transform, options(return_indices=[False, True])),
    "erode": (dislayers.erode, options(iterations=ITERATIONS, footprint=["cross", "square"])),
    "dilate": (dislayers.dilate, options(iterations=ITERATIONS, footprint=["cross", "square"])),
}


@native_only
@pytest.mark.parametrize("op", OPS)
@fuzz(60)
@given(data=st.data())
def test_masks_mean_their_pixels_however_they_lie(op: str, data: st.DataObject) -> None:
    function, any_options = OPS[op]
    (mask, clean), (within, clean_within) = data.draw(masks(2))
    chosen = data.draw(any_options)
    torch.set_num_threads(data.draw(st.sampled_from([1, 2, 5])))
    if op == "dilate" and data.draw(st.booleans()):
        assert_same(function(mask, within=within, **chosen), function(clean, within=clean_within, **chosen))
    else:
        assert_same(function(mask, **chosen), function(clean, **chosen))


@native_only
@fuzz(60)
@given(data=st.data())
def test_contours_of_any_mask(data: st.DataObject) -> None:
    mask, clean = data.draw(laid_out(data.draw(shapes(most_batch_dims=0))))
    found = dislayers.contours(mask)
    assert_same(tuple(found), tuple(dislayers.contours(clean)))
    assert int(found.lengths.sum()) == len(found.points)


REALS = [0.0, 1.0, 0.5, -1.0, 2.0, 5e-324, 1e-40, math.nan, math.inf, -math.inf]


@native_only
@fuzz(100)
@given(data=st.data(), bins=st.sampled_from([1, 2, 255, 256, 65536]))
def test_joint_histograms_count_every_pixel(data: st.DataObject, bins: int) -> None:
    shape = data.draw(shapes())
    gt, clean = data.draw(laid_out(shape))
    dtype = data.draw(st.sampled_from([torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64]))
    values = torch.tensor(REALS, dtype=torch.float64)[bytes_of(data.draw, shape).long() % len(REALS)].to(dtype)
    pred = LAYOUTS[data.draw(st.sampled_from(sorted(LAYOUTS)))](values)
    torch.set_num_threads(data.draw(st.sampled_from([1, 2, 5])))
    counts = dislayers.joint_histogram(pred, gt, bins)
    assert_same(counts.sum(-1), torch.stack([(~clean).sum((-1, -2)), clean.sum((-1, -2))], -1))


COORDINATES = st.integers(-20, 20) | st.sampled_from([2**30 - 1, 1 - 2**30, 2**30, -(2**31), 2**31 - 1])
LENGTHS = st.integers(0, 4) | st.sampled_from([-1, -(2**63), 2**62, 2**63 - 1])


@fuzz(300)
@given(
    points=st.lists(st.tuples(COORDINATES, COORDINATES), max_size=12),
    lengths=st.lists(LENGTHS, max_size=6),
    adds_up=st.booleans(),
    epsilon=st.sampled_from([0, 0.0, 5e-324, 1.5, 1e308, math.inf]),
    closed=st.booleans(),
    distance=st.sampled_from(["line", "segment"]),
)
def test_polygons_of_any_curves(
    points: list[Any], lengths: list[int], adds_up: bool, epsilon: float, closed: bool, distance: Any
) -> None:
    if adds_up:
        lengths = [min(abs(length), 4) for length in lengths]
        lengths.append(max(len(points) - sum(lengths), 0))
        points = points + [(0, 0)] * (sum(lengths) - len(points))
    are_cut = all(length >= 0 for length in lengths) and sum(lengths) == len(points)
    are_exact = all(abs(x) < 2**30 for point in points for x in point)
    curves = torch.tensor(points, dtype=torch.int32).view(-1, 2), torch.tensor(lengths, dtype=torch.int64)
    if not (are_cut and are_exact):
        with pytest.raises(ValueError, match="lengths must" if not are_cut else "points must"):
            dislayers.approximate_polygons(*curves, epsilon, closed, distance)
        return
    corners, counts = dislayers.approximate_polygons(*curves, epsilon, closed, distance)
    assert len(corners) == int(counts.sum())
    assert bool(((counts > 0) == (curves[1] > 0)).all())
    assert bool((counts <= curves[1]).all())


# Those that call the extension.
METRICS = (
    *(dismetrics.human_correction_effort, dismetrics.weighted_f_measure, dismetrics.e_measure, dismetrics.s_measure),
    *(dismetrics.f_measure, dismetrics.boundary_iou, dismetrics.mean_boundary_accuracy, dismetrics.multiscale_iou),
)


def negative_steps(x: np.ndarray) -> np.ndarray:
    return np.flip(np.flip(x).copy())


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


ARRAYS = {"C": np.copy, "Fortran": np.asfortranarray, "negative steps": negative_steps, "read-only": read_only}


@pytest.mark.parametrize("metric", METRICS)
@fuzz(12)
@given(data=st.data())
def test_metrics_take_any_array_of_masks(metric: Callable[..., Any], data: st.DataObject) -> None:
    shape = data.draw(shapes(st.integers(1, 20) | st.sampled_from([64, 130]), 0))
    pred, gt = (bytes_of(data.draw, shape).numpy() for _ in range(2))
    layouts = [ARRAYS[data.draw(st.sampled_from(sorted(ARRAYS)))] for _ in range(2)]
    pred_type, gt_type = data.draw(st.sampled_from([np.uint8, np.bool_, np.float16, np.float64])), np.bool_
    given_pred = (pred / 255).astype(pred_type) if pred_type in (np.float16, np.float64) else pred.view(pred_type)
    clean = pred != 0 if pred_type == np.bool_ else given_pred
    # The bytes of a bool need not be 0 or 1.
    actual = metric(layouts[0](given_pred), layouts[1](gt.view(gt_type)))
    expected = metric(clean, gt != 0)
    np.testing.assert_equal(actual, expected)


@pytest.mark.parametrize("metric", METRICS)
@fuzz(6)
@given(value=st.sampled_from([math.nan, math.inf, -math.inf, -1e-9, 1.0000001, 1e308]), at=st.integers(0, 11))
def test_metrics_refuse_what_is_no_prediction(metric: Callable[..., Any], value: float, at: int) -> None:
    pred = np.full((3, 4), 0.5)
    pred.flat[at] = value
    with pytest.raises(ValueError, match="pred: expected floats"):
        metric(pred, np.ones((3, 4), bool))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (0, 3, 3), (2, 0, 3), (3,), (), (1, 1, 1, 1)])
def test_metrics_refuse_what_is_no_image(metric: Callable[..., Any], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="pred and gt: expected"):
        metric(np.zeros(shape, np.uint8), np.zeros(shape, bool))


NO_MASKS = [None, [[1]], np.zeros((2, 2), bool), torch.zeros(2, 2), torch.zeros(2, 2, dtype=torch.int64)]
NO_MASKS += [torch.zeros(2, 2, dtype=torch.complex64), torch.zeros(2, dtype=torch.bool), torch.tensor(True)]
MASK = torch.zeros(2, 3, dtype=torch.bool)
CURVES = torch.zeros(2, 2, dtype=torch.int32), torch.tensor([2])
# What the refusal says, a function, and what it refuses.
REFUSALS: list[tuple[str, Callable[[Any], object], list[Any]]] = [
    *(("mask must", op, NO_MASKS) for op, _ in OPS.values()),
    ("mask must", dislayers.contours, [*NO_MASKS, MASK[None]]),
    ("within must", lambda x: dislayers.dilate(MASK, 1, x), [*NO_MASKS[1:], MASK.mT, MASK[:1]]),
    ("gt must", lambda x: dislayers.joint_histogram(MASK.float(), x), [*NO_MASKS, MASK.mT, MASK[:1]]),
    ("pred must", lambda x: dislayers.joint_histogram(x, MASK), [None, MASK, MASK.int(), MASK.cfloat()]),
    ("bins must", lambda x: dislayers.joint_histogram(MASK.float(), MASK, x), [0, -1, 65537, 2**70, 1.5]),
    ("iterations must", lambda x: dislayers.dilate(MASK, x), [-1, -(2**70), 1.0, math.nan, True, None]),
    ("iterations must", lambda x: dislayers.erode(MASK, x), [-1, -(2**70), 1.0, math.inf, False, "1"]),
    ("footprint must", lambda x: dislayers.erode(MASK, 1, x), ["disk", "", None, 3]),
    ("connectivity must", lambda x: dislayers.connected_components(MASK, x), [0, 6, -8, 8.0, 2**70, math.nan]),
    ("points must", lambda x: dislayers.approximate_polygons(x, CURVES[1], 1), [None, MASK, MASK.long()]),
    ("points must", lambda x: dislayers.click_maps(x, (2, 2)), [None, MASK, CURVES[0], MASK.cfloat()]),
    ("size must", lambda x: dislayers.click_maps(torch.ones(1, 2, 3), x), [None, 2, (2,), (2.0, 2), (-1, 2), "22"]),
    ("radius must", lambda x: dislayers.click_maps(torch.ones(1, 2, 3), (2, 2), x), [0, -1, math.nan, "1", None]),
    ("lengths must", lambda x: dislayers.approximate_polygons(CURVES[0], x, 1), [None, [2], MASK, MASK[0]]),
    ("epsilon must", lambda x: dislayers.approximate_polygons(*CURVES, x), [-1, math.nan, None, "1", 1j]),
    ("distance must", lambda x: dislayers.approximate_polygons(*CURVES, 1, False, x), ["", None, "lines"]),
    ("relax must", lambda x: dismetrics.human_correction_effort(MASK, MASK, x), [-1, -(2**70)]),
    ("epsilon must", lambda x: dismetrics.human_correction_effort(MASK, MASK, 5, x), [-1, math.nan, "1"]),
]


@pytest.mark.parametrize(("words", "function", "wrong"), REFUSALS)
def test_a_refusal_names_the_argument(words: str, function: Callable[[Any], object], wrong: list[Any]) -> None:
    for value in wrong:
        with pytest.raises((TypeError, ValueError), match=words):
            function(value)


HUGE = MASK[:1, :1].expand(2**60, 1)


@native_only
@pytest.mark.parametrize("op", [dislayers.contours, dislayers.moments, dislayers.skeletonize, dislayers.dilate])
def test_masks_that_only_strides_can_hold_are_refused(op: Callable[[Tensor], object]) -> None:
    with pytest.raises((ValueError, RuntimeError), match=r"size must|allocate"):
        op(HUGE)
