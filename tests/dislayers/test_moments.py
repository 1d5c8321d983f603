"""Moments are scikit-image's."""

import numpy as np
import pytest
import skimage.measure
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dislayers import moments
from dislayers.moments import kernel, reference
from tests.harness import SHAPES, Op, check_op


def noise(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    return (torch.rand(shape, generator=generator) < 0.4).to(dtype) * (7 if dtype == torch.uint8 else 1)


test_moments = check_op(
    Op(
        function=moments,
        reference=reference.moments,
        overload=torch.ops.dislayers.moments.default,
        make_inputs=lambda *of: ((noise(*of).to(of[1]),), {}),
        dtypes=(torch.bool, torch.uint8),
        shapes=(*SHAPES, (9, 70), (3, 21, 6), (2, 1, 2, 5, 66)),
        like_first=False,
        errors=[
            (lambda: moments(torch.rand(2, 2)), TypeError, r"mask must be a bool or uint8.*got float32 \(2, 2\)"),
            (lambda: moments(torch.ones(2) > 0), ValueError, r"mask must have the shape \(..., H, W\)"),
        ],
    )
)


@given(st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_equals_scikit_image(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = (int(random.integers(1, 60)), int(random.integers(1, 300)))
    mask = random.random(shape) < random.choice([0, 0.01, 0.5, 1])
    expected = skimage.measure.moments(mask.astype(np.uint8), order=1)
    assert moments(torch.from_numpy(mask)).tolist() == [expected[0, 0], expected[1, 0], expected[0, 1]]


def test_sums_may_exceed_32_bits() -> None:
    height, width = 1500, 4000
    pixels = height * width
    expected = [pixels, pixels * (height - 1) // 2, pixels * (width - 1) // 2]
    assert moments(torch.ones(height, width, dtype=torch.bool)).tolist() == expected


@pytest.mark.skipif(kernel.extension is None, reason="the extension is not there")
def test_every_instruction_set_gives_the_same() -> None:
    assert kernel.extension is not None
    for seed in range(30):
        mask = noise((7, 10 + 11 * seed), torch.uint8, torch.Generator().manual_seed(seed))
        for index in range(len(kernel.extension.instruction_sets())):
            sums = torch.ones(3, dtype=torch.int64)
            kernel.extension.moments_cpu(
                mask.data_ptr(), (0, mask.stride(0)), sums.data_ptr(), (1, *mask.shape), 1, index
            )
            assert torch.equal(sums, moments(mask))
