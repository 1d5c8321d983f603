"""Joint histograms count every pixel where NumPy counts it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dislayers import joint_histogram
from dislayers.joint_histogram import kernel, reference
from tests.harness import SHAPES, Op, check_op


def random_pair(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Greys between black and white, as of networks; floats beyond [0, 1] and NaN as well."""
    noise = torch.rand(shape, generator=generator)
    if dtype == torch.uint8:
        pred = (noise * 4 - 1.5).clamp(0, 1).mul(255.99).to(dtype)
    else:
        pred = torch.where(noise < 0.01, torch.nan, noise * 1.2 - 0.1).to(dtype)
    return pred, torch.randint(-200, 200, shape, generator=generator).clamp(0).to(torch.uint8)


ones = torch.ones(2, 2, dtype=torch.uint8)
test_joint_histogram = check_op(
    Op(
        function=joint_histogram,
        reference=reference.joint_histogram,
        overload=torch.ops.dislayers.joint_histogram.default,
        make_inputs=lambda *of: ((*random_pair(*of), 256), {}),
        dtypes=(torch.uint8, torch.float32, torch.float64, torch.bfloat16, torch.float16),
        shapes=(*SHAPES, (9, 70), (3, 21, 6), (2, 1, 2, 5, 66)),
        like_first=False,
        errors=[
            (
                lambda: joint_histogram(ones > 0, ones),
                TypeError,
                r"pred must be a uint8 or floating.*got bool",
            ),
            (lambda: joint_histogram(ones, ones.float()), TypeError, r"gt must be a bool or uint8"),
            (lambda: joint_histogram(ones[0], ones[0]), ValueError, r"pred must have the shape \(..., H, W\)"),
            (lambda: joint_histogram(ones, ones[:1]), ValueError, r"gt must have the shape and device of pred"),
            (lambda: joint_histogram(ones, ones, 0), ValueError, r"bins must be in \[1, 65536\], got 0"),
            (lambda: joint_histogram(ones, ones, 2.0), TypeError, r"bins must be an int"),  # type: ignore[arg-type]
        ],
    )
)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
@pytest.mark.parametrize("bins", [1, 2, 19, 256, 1000])
def test_any_number_of_bins(bins: int, dtype: torch.dtype) -> None:
    pred, gt = random_pair((2, 33, 70), dtype, torch.Generator().manual_seed(bins))
    assert torch.equal(joint_histogram(pred, gt, bins), reference.joint_histogram(pred, gt, bins))


def test_bins_are_where_the_definition_says() -> None:
    ramp, gt = torch.arange(256, dtype=torch.uint8)[None], torch.ones(1, 256, dtype=torch.bool)
    assert joint_histogram(ramp, gt)[1].tolist() == [1] * 256
    assert joint_histogram(ramp, gt, 4).tolist() == [[0] * 4, [64] * 4]
    assert joint_histogram(torch.tensor([[0, 0.49, 0.5, 0.99, 1]]), gt[:, :5], 3).tolist() == [[0] * 3, [2, 2, 1]]


@given(st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_equals_numpy(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = (int(random.integers(1, 40)), int(random.integers(1, 300)))
    pred, gt = random.integers(0, 256, shape).astype(np.uint8), random.random(shape) < 0.5
    pred[random.random(shape) < random.choice([0, 0.5, 0.99])] = random.choice([0, 7, 255])
    expected = [np.bincount(pred[gt == truth], minlength=256).tolist() for truth in (False, True)]
    assert joint_histogram(torch.from_numpy(pred), torch.from_numpy(gt)).tolist() == expected
    normalized = (pred - pred.min()) / max(int(pred.max()) - int(pred.min()), 1)
    steps = (normalized * 255).astype(np.uint8)
    expected = [np.bincount(steps[gt == truth], minlength=256).tolist() for truth in (False, True)]
    assert joint_histogram(torch.from_numpy(normalized), torch.from_numpy(gt)).tolist() == expected


def test_parts_of_an_image_add_up_over_threads() -> None:
    pred, gt = random_pair((1100, 1030), torch.uint8, torch.Generator().manual_seed(0))
    quadrants = [(rows, columns) for rows in (slice(333), slice(333, None)) for columns in (slice(70), slice(70, None))]
    total = torch.stack([joint_histogram(pred[part], gt[part]) for part in quadrants]).sum(0)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.equal(joint_histogram(pred, gt), total)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.skipif(kernel.extension is None, reason="the extension is not there")
def test_every_instruction_set_gives_the_same() -> None:
    assert kernel.extension is not None
    for seed in range(30):
        pred, gt = random_pair((7, 10 + 11 * seed), torch.uint8, torch.Generator().manual_seed(seed))
        strides = (0, pred.stride(0))
        for index in range(len(kernel.extension.instruction_sets())):
            counts = torch.ones(2, 256, dtype=torch.int64)
            kernel.extension.joint_histogram_cpu(
                pred.data_ptr(), 1, strides, gt.data_ptr(), strides, counts.data_ptr(), (1, *pred.shape), 256, 1, index
            )
            assert torch.equal(counts, joint_histogram(pred, gt))
