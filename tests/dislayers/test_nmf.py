"""Nonnegative matrix factorisation: every proof of an op, its loops, its closed form, and what its backward keeps."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from dislayers import nmf
from dislayers.nmf import reference
from tests.harness import DEVICES, Op, check_op


def factors(shape: tuple[int, ...], rank: int, dtype: torch.dtype, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """x as a ReLU leaves it, and bases of norm 1."""
    x = torch.randn(shape, generator=generator).relu()
    return x.to(dtype), normalize(torch.rand(*shape[:2], rank, generator=generator), dim=1).to(dtype)


def make_inputs(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    # The kernels take 16; under the interpreter they are slow, and tested below.
    return factors(shape, 16 if torch.cuda.is_available() else 5, dtype, generator), {"steps": 2}


test_nmf = check_op(
    Op(
        function=nmf,
        reference=reference.nmf,
        make_inputs=make_inputs,
        overload=torch.ops.dislayers.nmf.default,
        overload_arguments=lambda x, bases, steps: ((x, bases, steps), {}),
        shapes=[(2, 7, 19), (3, 9, 33), (1, 3, 1), (0, 3, 8), (2, 3, 0)],
        dtypes=(torch.float32, torch.bfloat16, torch.float64),
        tolerances={torch.float32: (1e-5, 1e-5)},
        differentiable=[0, 1],
        errors=[
            (lambda: nmf(torch.ones(1, 2, 3, dtype=torch.int64), torch.ones(1, 2, 4)), TypeError, "x must be a float"),
            (lambda: nmf(torch.ones(1, 2, 3), torch.ones(1, 2, 4).bool()), TypeError, "bases must be a floating"),
            (lambda: nmf(torch.ones(2, 3), torch.ones(1, 2, 4)), ValueError, r"\(B, D, N\), got \(2, 3\)"),
            (lambda: nmf(torch.ones(1, 2, 3), torch.ones(1, 3, 4)), ValueError, r"got \(1, 3, 4\) for \(1, 2, 3\)"),
            (
                lambda: nmf(torch.ones(1, 2, 3), torch.ones(1, 2, 4, device="meta")),
                ValueError,
                "bases must be on the device of x, cpu, got .* on meta",
            ),
            (lambda: nmf(torch.ones(1, 2, 3), torch.ones(1, 2, 4), -1), ValueError, "steps must be at least 0, got -1"),
            (lambda: nmf(torch.ones(1, 2, 3), torch.ones(1, 2, 4), 1.5), TypeError, "steps must be an int"),
        ],
    )
)


def loop(x: np.ndarray, bases: np.ndarray, steps: int) -> np.ndarray:
    """One sample as the specification writes it, number by number."""
    (depth, pixels), rank = x.shape, bases.shape[1]

    def updated(factor: np.ndarray, matrix: np.ndarray, other: np.ndarray) -> np.ndarray:
        result = np.empty_like(factor)
        for i in range(factor.shape[0]):
            for r in range(rank):
                numerator = sum(matrix[i, j] * other[j, r] for j in range(other.shape[0]))
                product = sum(
                    factor[i, q] * sum(other[j, q] * other[j, r] for j in range(other.shape[0])) for q in range(rank)
                )
                result[i, r] = factor[i, r] * numerator / (product + 1e-6)
        return result

    scores = [[math.exp(sum(x[d, n] * bases[d, r] for d in range(depth))) for r in range(rank)] for n in range(pixels)]
    coefficients = np.array([[score / sum(row) for score in row] for row in scores])
    for _ in range(steps):
        coefficients = updated(coefficients, x.T, bases)
        bases = updated(bases, x, coefficients)
    coefficients = updated(coefficients, x.T, bases)
    return bases @ coefficients.T


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_loop(steps: int) -> None:
    x, bases = factors((2, 4, 6), 3, torch.float64, torch.Generator().manual_seed(steps))
    for sample, basis, actual in zip(x, bases, nmf(x, bases, steps), strict=True):
        np.testing.assert_allclose(actual, loop(sample.numpy(), basis.numpy(), steps), rtol=1e-12)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "pixels": torch.clone,
    "channels": lambda x: x.mT.contiguous().mT,
    "sliced": lambda x: torch.zeros(len(x) + 1, x.shape[1] + 2, 3 * x.shape[2])[1:, 1:-1, ::3].to(x).copy_(x),
}


# On both sides of a tile of pixels, of one of channels, and of a span of pixels.
@pytest.mark.parametrize(
    ("shape", "rank", "steps", "dtype", "layout"),
    [
        ((1, 40, 270), 16, 1, torch.float32, "pixels"),
        ((2, 33, 40), 32, 2, torch.float32, "channels"),
        ((2, 32, 64), 64, 3, torch.bfloat16, "pixels"),
        ((1, 65, 31), 64, 1, torch.float16, "sliced"),
        ((1, 5, 3), 16, 0, torch.float32, "channels"),
    ],
)
@pytest.mark.parametrize("device", DEVICES)
def test_tiles(device: str, shape: tuple[int, ...], rank: int, steps: int, dtype: torch.dtype, layout: str) -> None:
    generator = torch.Generator().manual_seed(rank)
    x, bases = factors(shape, rank, dtype, generator)
    leaves = [LAYOUTS[layout](x.to(device)).requires_grad_(), bases.to(device).requires_grad_()]
    exact = [x.double().requires_grad_(), bases.double().requires_grad_()]
    upstream = torch.randn(shape, generator=generator).to(dtype)
    result, expected = nmf(*leaves, steps), reference.nmf(*exact, steps)
    actual = [result, *torch.autograd.grad(result, leaves, upstream.to(device))]
    right = [expected, *torch.autograd.grad(expected, exact, upstream.double())]
    assert actual[0].stride() == actual[1].stride() == torch.empty_like(leaves[0]).stride()
    again = nmf(*leaves, steps)
    assert torch.equal(again, result)
    assert all(map(torch.equal, torch.autograd.grad(again, leaves, upstream.to(device)), actual[1:]))
    for one, other in zip(actual, right, strict=True):
        error = (one.cpu().double() - other).norm() / other.norm()
        assert error <= {torch.float32: 1e-6, torch.float16: 2**-11, torch.bfloat16: 2**-8}[dtype]


def test_closed_form_against_numerical_differences() -> None:
    x, bases = (v.requires_grad_() for v in factors((2, 4, 7), 3, torch.float64, torch.Generator().manual_seed(0)))
    assert torch.autograd.gradcheck(lambda x, bases: nmf(x + 0.1, bases, 3), (x, bases))


@given(seed=st.integers(0, 1000), steps=st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_no_step_moves_the_product_away(seed: int, steps: int) -> None:
    x, bases = factors((3, 6, 11), 4, torch.float64, torch.Generator().manual_seed(seed))
    before, after = ((nmf(x, bases, n) - x).square().sum((1, 2)) for n in (steps, steps + 1))
    assert (after <= before + 1e-9).all()


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_neither_the_order_of_pixels_nor_that_of_bases_counts(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, bases = factors((2, 6, 11), 4, torch.float64, generator)
    pixels, ranks = torch.randperm(11, generator=generator), torch.randperm(4, generator=generator)
    torch.testing.assert_close(nmf(x[..., pixels], bases[..., ranks]), nmf(x, bases)[..., pixels])


def test_backward_keeps_nothing_for_a_pixel() -> None:
    shape, rank, steps = (2, 24, 300), 16, 2
    x, bases = factors(shape, rank, torch.float32, torch.Generator().manual_seed(0))
    leaves = [x.requires_grad_(), bases.requires_grad_()]

    def kept(function: Callable[[Tensor, Tensor, int], Tensor]) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            result = function(*leaves, steps)
        del result
        return sum(size for place, size in sizes.items() if place not in [leaf.data_ptr() for leaf in leaves])

    assert kept(reference.nmf) > 4 * 2 * 300 * rank * (4 * steps + 4)
    assert kept(nmf) == 4 * 2 * (2 * steps + 1) * rank * (24 + rank)


@pytest.mark.parametrize("rank", [5, 16])
def test_zeros_and_extreme_values(rank: int) -> None:
    x, bases = factors((5, 6, 8), rank, torch.float32, torch.Generator().manual_seed(1))
    x[0], x[1, :, 3], x[1, 2] = 0, 0, 0
    x[2], x[3] = x[2] * 1e-20, x[3] * 1e4
    leaves = [x.requires_grad_(), bases.requires_grad_()]
    result = nmf(*leaves, 2)
    assert not any(zero.any() for zero in (result[0], result[1, :, 3], result[1, 2]))
    assert all(v.isfinite().all() for v in (result, *torch.autograd.grad(result.sum(), leaves)))
    torch.testing.assert_close(result.double(), reference.nmf(x.double(), bases.double(), 2), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rank", [5, 16])
def test_what_is_no_number_stays_in_its_sample(rank: int) -> None:
    x, bases = factors((2, 6, 8), rank, torch.float32, torch.Generator().manual_seed(1))
    clean, x[0, 1, 2] = nmf(x, bases, 1), math.nan
    result = nmf(x, bases, 1)
    assert result[0].isnan().all()
    assert torch.equal(result[1], clean[1])


def test_dtypes_of_x_and_bases_may_differ() -> None:
    x, bases = factors((1, 6, 8), 16, torch.bfloat16, torch.Generator().manual_seed(1))
    leaves = [x.requires_grad_(), bases.double().requires_grad_()]
    result = nmf(*leaves, 2)
    torch.testing.assert_close(result, reference.nmf(x.double(), leaves[1], 2).bfloat16())
    assert [v.dtype for v in torch.autograd.grad(result.sum(), leaves)] == [torch.bfloat16, torch.float64]


def test_gradient_of_one_argument_alone() -> None:
    x, bases = factors((1, 6, 8), 16, torch.float32, torch.Generator().manual_seed(1))
    for leaf, other in ((x, bases), (bases, x)):
        leaf.requires_grad_()
        (gradient,) = torch.autograd.grad(nmf(x, bases).sum(), leaf)
        assert gradient.shape == leaf.shape
        assert not other.requires_grad
        leaf.requires_grad_(False)


@pytest.mark.parametrize(("pixels", "stride"), [(65535 * 16 + 1, 65535 * 16 + 1), (8, (1 << 24) + 1)])
def test_kernels_leave_to_pytorch_what_their_grid_or_offsets_cannot_reach(
    pixels: int, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("triton")
    from dislayers.nmf import kernel

    monkeypatch.setattr(kernel, "launch", lambda *_, **__: pytest.fail("a kernel was launched"))
    x = torch.ones(stride + pixels).as_strided((1, 2, pixels), (0, stride, 1))
    product, *_ = kernel.launch_forward(x, torch.ones(1, 2, 16), 0)
    assert product.isfinite().all()
