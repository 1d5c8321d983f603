"""Distances and indices are SciPy's, however they are computed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from dislayers import distance_transform
from dislayers.distance_transform import kernel, reference
from tests.harness import SHAPES, Op, check_op


def random_mask(seed: int, height: int, width: int) -> torch.Tensor:
    """Noise or blocks, from hardly any to nearly all true, in which many false pixels are equally near."""
    random = np.random.default_rng(seed)
    block = random.choice([1, 1, 2, 5, 20])
    coarse = random.random((-(-height // block), -(-width // block))) < random.choice([0.1, 0.5, 0.9, 0.99, 0.999])
    return torch.from_numpy(np.kron(coarse, np.ones((block, block), bool))[:height, :width].copy())


def scipy_s(mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where an image is all true SciPy measures to a pixel that is not there."""
    if mask.all():
        return torch.full(mask.shape, torch.inf), torch.full(mask.shape, -1)
    distance, (rows, columns) = distance_transform_edt(mask.numpy(), return_indices=True)
    return torch.from_numpy(distance).float(), torch.from_numpy(rows.astype(np.int64) * mask.shape[1] + columns)


def assert_equal(actual: tuple[torch.Tensor, torch.Tensor], mask: torch.Tensor) -> None:
    assert all(map(torch.equal, actual, scipy_s(mask)))


def noise(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    return (torch.rand(shape, generator=generator) < 0.9).to(dtype)


MASK_ERRORS = [
    (lambda: distance_transform(torch.rand(2, 2)), TypeError, r"mask must be a bool or uint8.*got float32 \(2, 2\)"),
    (lambda: distance_transform(torch.ones(2) > 0), ValueError, r"mask must have the shape \(..., H, W\)"),
]

test_distance_transform = check_op(
    Op(
        function=distance_transform,
        reference=reference.distance_transform,
        overload=torch.ops.dislayers.distance_transform.default,
        make_inputs=lambda *of: ((noise(*of),), {}),
        dtypes=(torch.bool, torch.uint8),
        shapes=(*SHAPES, (9, 70), (3, 21, 6), (2, 1, 2, 5, 66)),
        like_first=False,
        errors=MASK_ERRORS,
    )
)
test_distance_transform_indices = check_op(
    Op(
        function=lambda mask: distance_transform(mask, return_indices=True),
        reference=reference.distance_transform_indices,
        overload=torch.ops.dislayers.distance_transform_indices.default,
        make_inputs=lambda *of: ((noise(*of),), {}),
        dtypes=(torch.bool, torch.uint8),
        shapes=(*SHAPES, (9, 70), (3, 21, 6), (2, 1, 2, 5, 66)),
        like_first=False,
    )
)

SIDES = st.integers(1, 70) | st.sampled_from([1, 127, 129, 256, 300])


@pytest.mark.parametrize("of", [lambda mask: distance_transform(mask, True), reference.distance_transform_indices])
@given(seed=st.integers(0, 10**6), height=SIDES, width=SIDES)
@settings(max_examples=150, deadline=None)
def test_equals_scipy_to_the_last_tie(of, seed: int, height: int, width: int) -> None:
    mask = random_mask(seed, height, width)
    assert_equal(of(mask), mask)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (2100, 300), (300, 2100)])
@pytest.mark.parametrize("at", [0, 0.4, 1])
def test_one_false_pixel(size: tuple[int, int], at: float) -> None:
    mask = torch.ones(size, dtype=torch.bool)
    mask.view(-1)[round(at * (mask.numel() - 1))] = False
    assert_equal(distance_transform(mask, return_indices=True), mask)


def test_roots_of_squares_beyond_float32_are_rounded_once() -> None:
    mask = torch.ones(9000, 40, dtype=torch.bool)
    mask[0, 0] = False
    assert distance_transform(mask).max() > 2**12
    assert_equal(distance_transform(mask, return_indices=True), mask)


def test_an_image_without_a_false_pixel_has_no_nearest_one() -> None:
    mask = torch.ones(3, 4, 5, dtype=torch.uint8)
    mask[1] = 0
    distance, index = distance_transform(mask, return_indices=True)
    assert distance[[0, 2]].isposinf().all()
    assert (index[[0, 2]] == -1).all()
    assert not distance[1].any()
    assert torch.equal(index[1], torch.arange(20).view(4, 5))


@given(seed=st.integers(0, 10**6), height=st.integers(1, 40), width=st.integers(1, 40))
@settings(max_examples=50, deadline=None)
def test_an_index_gathers_the_false_pixel_at_that_distance(seed: int, height: int, width: int) -> None:
    mask = torch.stack([random_mask(seed + i, height, width) for i in range(3)])
    mask[:, 0, 0] = False
    distance, index = distance_transform(mask, return_indices=True)
    assert not mask.flatten(1).gather(1, index.flatten(1)).any()
    row, column = torch.arange(height)[:, None], torch.arange(width)
    square = (index // width - row) ** 2 + (index % width - column) ** 2
    assert torch.equal(square.double().sqrt().float(), distance)


@pytest.mark.skipif(kernel.extension is None, reason="the extension is not there")
@pytest.mark.parametrize("threads", [1, 3])
def test_every_instruction_set_and_number_of_threads_gives_the_same(threads: int) -> None:
    assert kernel.extension is not None
    for seed in range(12):
        mask = random_mask(seed, 500, 310)
        for instruction_set in range(len(kernel.extension.instruction_sets())):
            distance, index = torch.full(mask.shape, -1.0), torch.full(mask.shape, -2)
            addresses = mask.data_ptr(), (0, mask.stride(0)), distance.data_ptr(), index.data_ptr()
            kernel.extension.distance_transform_cpu(*addresses, (1, *mask.shape), threads, instruction_set)
            assert_equal((distance, index), mask)
