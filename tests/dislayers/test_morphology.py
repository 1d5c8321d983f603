"""Erosion and dilation are OpenCV's and scikit-image's, pixel for pixel, however they are computed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.morphology import dilation, disk, erosion, footprint_rectangle
from torch import Tensor
from torch.nn.functional import max_pool2d

from dislayers import dilate, erode
from dislayers.morphology import kernel, reference
from dislayers.morphology.reference import Footprint
from tests.harness import SHAPES, Op, check_op

FOOTPRINTS = {"cross": disk(1), "square": footprint_rectangle((3, 3))}
EDGES = (1, 2, 31, 33, 63, 64, 65, 127, 128, 129)


def random_mask(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """All false, all true or random pixels, in blocks of 1, 3 or 9 pixels: noise, specks and shapes."""
    block = random.choice([1, 3, 9])
    coarse = random.random((-(-height // block), -(-width // block))) < random.choice([0, 0.02, 0.3, 0.7, 0.98, 1])
    return np.kron(coarse, np.ones((block, block), bool))[:height, :width]


def random_size(random: np.random.Generator) -> int:
    return int(
        random.choice([random.integers(1, 40), random.choice(EDGES), random.integers(1, 300)], p=[0.8, 0.18, 0.02])
    )


def tensor(mask: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(mask))


def noise(density: float, shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """uint8 masks hold every nonzero value."""
    mask = torch.rand(shape, generator=generator) < density
    return mask if dtype == torch.bool else mask * torch.randint(1, 256, shape, dtype=dtype, generator=generator)


ERODE = Op(
    function=erode,
    reference=reference.erode,
    overload=torch.ops.dislayers.erode.default,
    overload_arguments=lambda mask, iterations, footprint="cross": ((mask, iterations, footprint), {}),
    make_inputs=lambda *of: ((noise(0.9, *of), 2), {}),
    dtypes=(torch.bool, torch.uint8),
    shapes=(*SHAPES, (9, 70), (3, 21, 6), (2, 1, 2, 5, 66)),
    errors=[
        (lambda: erode(torch.rand(2, 2)), TypeError, r"mask must be a bool or uint8.*got float32 \(2, 2\) on cpu"),
        (lambda: erode(torch.ones(2) > 0), ValueError, r"mask must have the shape \(..., H, W\), got bool \(2,\)"),
        (lambda: erode(torch.ones(2, 2) > 0, 1.0), TypeError, "iterations must be an int of at least 0, got float 1.0"),
        (lambda: erode(torch.ones(2, 2) > 0, -1), ValueError, "iterations must be at least 0, got -1"),
        (
            lambda: erode(torch.ones(2, 2) > 0, footprint="disk"),
            ValueError,
            "footprint must be one of cross, square, got",
        ),
    ],
)
DILATE = replace(
    ERODE,
    function=dilate,
    reference=lambda mask, iterations, within=None, footprint="cross": reference.dilate(
        mask, iterations, within, footprint
    ),
    overload=torch.ops.dislayers.dilate.default,
    make_inputs=lambda *of: ((noise(0.1, *of), 2), {}),
    overload_arguments=lambda mask, iterations, within=None, footprint="cross": (
        (mask, iterations, within, footprint),
        {},
    ),
    errors=[
        (lambda: dilate([[1]]), TypeError, "mask must be a bool or uint8 tensor"),
        (lambda: dilate(torch.ones(2, 2) > 0, True), TypeError, "iterations must be an int"),
        (lambda: dilate(torch.ones(2, 2) > 0, within=torch.ones(2, 2)), TypeError, "within must be a bool or uint8"),
        (
            lambda: dilate(torch.ones(2, 2) > 0, within=torch.ones(1, 2) > 0),
            ValueError,
            "within must have the shape and",
        ),
    ],
)
test_erode = check_op(ERODE)
test_dilate = check_op(DILATE)
test_geodesic_dilate = check_op(
    replace(DILATE, make_inputs=lambda *of: ((noise(0.1, *of), 2), {"within": noise(0.7, *of)}), errors=())
)
test_square_erode = check_op(
    replace(ERODE, make_inputs=lambda *of: ((noise(0.9, *of), 3), {"footprint": "square"}), errors=())
)
test_geodesic_square_dilate = check_op(
    replace(DILATE, make_inputs=lambda *of: ((noise(0.1, *of), 2, noise(0.7, *of), "square"), {}), errors=())
)


def scikit_image(
    step: Any, mask: np.ndarray, iterations: int, footprint: str, within: np.ndarray | bool = True
) -> np.ndarray:
    for _ in range(iterations):
        mask = step(mask, FOOTPRINTS[footprint]) & within
    return mask


@pytest.mark.parametrize("seed", range(10))
def test_five_thousand_masks_are_opencvs_and_scikit_images(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(500):
        size = random_size(random), random_size(random)
        mask, within, iterations = random_mask(random, *size), random_mask(random, *size), int(random.integers(1, 21))
        footprint = str(random.choice(["cross", "square"]))
        where, pixels = f"{size}, {iterations} iterations of a {footprint}", mask.astype(np.uint8)
        eroded = erode(tensor(mask), iterations, footprint).numpy()
        dilated = dilate(tensor(mask), iterations, footprint=footprint).numpy()
        np.testing.assert_array_equal(eroded, cv2.erode(pixels, FOOTPRINTS[footprint], iterations=iterations), where)
        np.testing.assert_array_equal(dilated, cv2.dilate(pixels, FOOTPRINTS[footprint], iterations=iterations), where)
        np.testing.assert_array_equal(eroded, scikit_image(erosion, mask, iterations, footprint), where)
        np.testing.assert_array_equal(dilated, scikit_image(dilation, mask, iterations, footprint), where)
        geodesic = dilate(tensor(mask), iterations, tensor(within), footprint).numpy()
        np.testing.assert_array_equal(geodesic, scikit_image(dilation, mask, iterations, footprint, within), where)


@pytest.mark.parametrize("footprint", FOOTPRINTS)
@pytest.mark.parametrize("iterations", [1, 7, 64, 130])
def test_large_masks_are_opencvs(iterations: int, footprint: str) -> None:
    pixels = random_mask(np.random.default_rng(0), 701, 1103).astype(np.uint8)
    for ours, theirs, value in ((erode, cv2.erode, 1 - pixels), (dilate, cv2.dilate, pixels)):
        np.testing.assert_array_equal(
            ours(tensor(value), iterations, footprint=footprint).numpy(),
            theirs(value, FOOTPRINTS[footprint], iterations=iterations),
        )


footprints = st.sampled_from(["cross", "square"])


@st.composite
def masks(draw: st.DrawFn, count: int) -> list[Tensor]:
    sides = st.integers(1, 40) | st.sampled_from(EDGES)
    height, width, random = draw(sides), draw(sides), np.random.default_rng(draw(st.integers(0, 2**32)))
    return [tensor(random_mask(random, height, width)) for _ in range(count)]


@given(masks(1), st.integers(0, 20), footprints)
@settings(deadline=None)
def test_erosion_is_the_dilation_of_the_complement(mask: list[Tensor], iterations: int, footprint: Footprint) -> None:
    eroded = erode(mask[0], iterations, footprint)
    assert torch.equal(eroded, ~dilate(~mask[0], iterations, footprint=footprint))


@given(masks(3), st.integers(0, 20), footprints)
@settings(deadline=None)
def test_more_pixels_never_give_fewer(drawn: list[Tensor], iterations: int, footprint: Footprint) -> None:
    mask, more, within = drawn
    grow = partial(dilate, iterations=iterations, footprint=footprint)
    assert not (erode(mask, iterations, footprint) & ~erode(mask | more, iterations, footprint)).any()
    assert not (grow(mask) & ~grow(mask | more)).any()
    assert not (grow(mask, within=within) & ~grow(mask | more, within=within)).any()
    assert not (grow(mask, within=within) & ~grow(mask, within=within | more)).any()


@given(masks(2), st.integers(0, 12), st.integers(0, 12), footprints)
@settings(deadline=None)
def test_iterations_add_up(drawn: list[Tensor], first: int, second: int, footprint: Footprint) -> None:
    mask, within = drawn
    twice = erode(erode(mask, first, footprint), second, footprint)
    assert torch.equal(twice, erode(mask, first + second, footprint))
    twice = dilate(dilate(mask, first, within, footprint), second, within, footprint)
    assert torch.equal(twice, dilate(mask, first + second, within, footprint))


@given(masks(1), st.integers(0, 40))
@settings(deadline=None)
def test_a_square_is_a_row_times_a_column(mask: list[Tensor], iterations: int) -> None:
    side = 2 * iterations + 1
    pixels = mask[0].float()[None, None]
    grown = max_pool2d(max_pool2d(pixels, (1, side), 1, (0, iterations)), (side, 1), 1, (iterations, 0))
    assert torch.equal(dilate(mask[0], iterations, footprint="square"), grown[0, 0] > 0)


@pytest.mark.parametrize("run", [erode, dilate, lambda mask, n: dilate(mask, n, torch.zeros_like(mask))])
def test_no_iterations_copy(run: Any) -> None:
    mask = torch.tensor([[0, 1, 2], [255, 0, 1]], dtype=torch.uint8)
    result = run(mask, 0)
    assert torch.equal(result, mask != 0)
    result.zero_()
    assert mask.any()


def corridor(height: int, width: int) -> Tensor:
    """One way through the image, a pixel wide, to and fro."""
    way = torch.zeros(height, width, dtype=torch.bool)
    way[::2] = True
    way[1::4, -1] = True
    way[3::4, 0] = True
    return way


@pytest.mark.parametrize("size", [(33, 65), (64, 34)])
def test_a_corridor_is_walked_a_pixel_an_iteration(size: tuple[int, int]) -> None:
    within = corridor(*size)
    start = torch.zeros_like(within)
    start[0, 0] = True
    length = int(within.sum())
    for steps in (0, 1, 64, 65, 500, length - 2, length - 1):
        assert dilate(start, steps, within).sum() == steps + 1
    assert torch.equal(dilate(start, 10**9, within), within)


def test_a_square_walks_a_diagonal() -> None:
    within = torch.eye(70, 90) > 0
    start = torch.zeros_like(within)
    start[0, 0] = True
    for steps in (0, 1, 64, 69):
        assert dilate(start, steps, within, "square").sum() == steps + 1
    assert dilate(start, 69, within).sum() == 1


@pytest.mark.parametrize("footprint", FOOTPRINTS)
@pytest.mark.parametrize("iterations", [10**9, 2**63 - 1])
def test_any_number_of_iterations_ends(iterations: int, footprint: Footprint) -> None:
    mask = torch.zeros(2, 40, 70, dtype=torch.bool)
    mask[0, 3, 60] = True
    everywhere = mask.any((1, 2), keepdim=True).expand_as(mask)
    assert torch.equal(dilate(mask, iterations, footprint=footprint), everywhere)
    assert torch.equal(erode(~mask, iterations, footprint), ~everywhere)


def batches() -> Iterator[tuple[Tensor, Tensor, int]]:
    random = np.random.default_rng(1)
    for batch, height, width, iterations in ((1, 300, 517, 5), (7, 65, 129, 20), (3, 1, 257, 3), (40, 33, 5, 70)):
        mask, within = (np.stack([random_mask(random, height, width) for _ in range(batch)]) for _ in range(2))
        yield tensor(mask), tensor(within), iterations


def assert_is_the_reference() -> None:
    for mask, within, iterations in batches():
        for footprint in ("cross", "square"):
            assert torch.equal(erode(mask, iterations, footprint), reference.erode(mask, iterations, footprint))
            for allowed in (None, within):
                expected = reference.dilate(mask, iterations, allowed, footprint)
                assert torch.equal(dilate(mask, iterations, allowed, footprint), expected)


@pytest.mark.skipif(kernel.extension is None, reason="the extension is not there")
@pytest.mark.parametrize("count", range(1, 1 + len(kernel.extension.instruction_sets() if kernel.extension else "")))
def test_every_instruction_set_gives_the_same(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sets, run = kernel.extension.instruction_sets()[:count], kernel.extension.dilate_cpu
    monkeypatch.setattr(kernel, "extension", SimpleNamespace(instruction_sets=lambda: sets, dilate_cpu=run))
    assert_is_the_reference()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_number_of_threads_gives_the_same(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_is_the_reference()
    finally:
        torch.set_num_threads(before)


def test_callers_in_several_threads_do_not_meet() -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(assert_is_the_reference) for _ in range(8)]:
            done.result()


def test_the_extension_can_be_switched_off() -> None:
    program = """
        import torch, dislayers
        from dislayers._runtime.library import choices
        for op in ("dislayers::dilate", "dislayers::erode"):
            choice = choices[op]["cpu"]
            print(choice.implementation.name, "-", choice.reason)
        print(dislayers.dilate(torch.eye(3) > 0).sum().item())
    """
    lines = program.strip().replace("\n        ", "\n")
    done = subprocess.run(
        [sys.executable, "-c", lines],
        env=os.environ | {"DISLAYERS_NATIVE": "off"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [*["reference - native: DISLAYERS_NATIVE=off"] * 2, "7"]
