"""Skeletons are scikit-image's, pixel for pixel, however they are computed."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.morphology
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dislayers import skeletonize
from dislayers.skeletonize import kernel, reference
from tests.harness import SHAPES, Op, check_op

CSRC = Path(__file__).parents[2] / "csrc"


def random_mask(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise, specks and shapes: random pixels in blocks of 1 to 20."""
    block = random.choice([1, 2, 5, 20])
    coarse = random.random((-(-height // block), -(-width // block))) < random.choice([0, 0.2, 0.5, 0.8, 0.97, 1])
    return np.kron(coarse, np.ones((block, block), bool))[:height, :width]


def noise(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    return (torch.rand(shape, generator=generator) < 0.8).to(dtype)


test_skeletonize = check_op(
    Op(
        function=skeletonize,
        reference=reference.skeletonize,
        overload=torch.ops.dislayers.skeletonize.default,
        make_inputs=lambda *of: ((noise(*of),), {}),
        dtypes=(torch.bool, torch.uint8),
        shapes=(*SHAPES, (9, 70), (3, 21, 6), (2, 1, 2, 5, 66)),
        errors=[
            (lambda: skeletonize(torch.rand(2, 2)), TypeError, r"mask must be a bool or uint8.*got float32 \(2, 2\)"),
            (lambda: skeletonize(torch.ones(2) > 0), ValueError, r"mask must have the shape \(..., H, W\)"),
        ],
    )
)


def test_equals_scikit_image_on_3000_masks() -> None:
    random = np.random.default_rng(0)
    widths = [1, 2, 3, 20, 63, 64, 65, 127, 128, 129, 513]
    for i in range(3000):
        mask = random_mask(random, int(random.integers(1, 40)), int(random.choice(widths)))
        actual = skeletonize(torch.from_numpy(mask.copy())).numpy()
        assert np.array_equal(actual, skimage.morphology.skeletonize(mask)), f"mask {i}, {mask.shape}"


def circles(height: int, width: int) -> np.ndarray:
    """Twelve discs, and holes where they overlap: some hundred iterations."""
    random = np.random.default_rng(1)
    mask = np.zeros((height, width), bool)
    y, x = np.mgrid[:height, :width]
    for _ in range(12):
        row, column, radius = random.integers(height), random.integers(width), random.integers(5, 150)
        mask ^= (y - row) ** 2 + (x - column) ** 2 < radius**2
    return mask


@pytest.mark.parametrize(("height", "width"), [(700, 1100), (300, 2100)])
def test_equals_scikit_image_on_large_shapes(height: int, width: int) -> None:
    mask = circles(height, width)
    assert np.array_equal(skeletonize(torch.from_numpy(mask)).numpy(), skimage.morphology.skeletonize(mask))


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.skipif(kernel.extension is None, reason="the extension is not there")
def test_threads_change_no_pixel(batch: int, set_threads: Callable[[int], None]) -> None:
    mask = torch.from_numpy(circles(batch * 1600, 2100)).view(batch, 1600, 2100)
    expected = np.stack([skimage.morphology.skeletonize(image) for image in mask.numpy()])
    for threads in (1, 2, 3, 16):
        set_threads(threads)
        assert np.array_equal(skeletonize(mask).numpy(), expected), f"{threads} threads"


@pytest.mark.skipif(kernel.extension is None, reason="the extension is not there")
def test_every_instruction_set_gives_the_same() -> None:
    assert kernel.extension is not None
    random = np.random.default_rng(2)
    for _ in range(100):
        mask = torch.from_numpy(random_mask(random, 70, int(random.integers(1, 1100))).copy())
        expected = skeletonize(mask)
        for index in range(len(kernel.extension.instruction_sets())):
            out = torch.ones_like(mask)
            size = (1, *mask.shape)
            kernel.extension.skeletonize_cpu(mask.data_ptr(), (0, mask.stride(0)), out.data_ptr(), size, 1, index)
            assert torch.equal(out, expected)


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_a_skeleton_is_part_of_the_mask_and_its_own_skeleton(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = torch.from_numpy(random_mask(random, int(random.integers(1, 80)), int(random.integers(1, 80))).copy())
    skeleton = skeletonize(mask)
    assert not (skeleton & ~mask).any()
    assert torch.equal(skeletonize(skeleton), skeleton)


def test_the_compiled_table_is_the_reference_s() -> None:
    spec = importlib.util.spec_from_file_location("skeletonize_table", CSRC / "skeletonize_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.header() == (CSRC / "skeletonize_table.h").read_text()
