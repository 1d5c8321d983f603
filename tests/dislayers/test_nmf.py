"""Nonnegative matrix factorisation: every proof of an op, its loops, its closed form, and what its backward keeps."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from dislayers import nmf
from dislayers.nmf import reference
from tests.harness import Op, check_op


def factors(
    shape: tuple[int, ...], rank: int, dtype: torch.dtype, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """x as a ReLU leaves it, and bases of norm 1."""
    x = torch.randn(shape, generator=generator).relu()
    return x.to(dtype), normalize(torch.rand(*shape[:2], rank, generator=generator), dim=1).to(dtype)


def make_inputs(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return factors(shape, 5, dtype, generator), {"steps": 2}


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
            (lambda: nmf(torch.ones(1, 2, 3), torch.ones(1, 3, 4)), ValueError, r"got \(1, 3, 4\) on cpu for \(1, 2,"),
            (lambda: nmf(torch.ones(1, 2, 3), torch.ones(1, 2, 4, device="meta")), ValueError, "on meta for"),
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
