"""Nonnegative matrix factorisation of a hamburger: ours against the published loop in PyTorch, eager and compiled.

``extra_info`` has what autograd keeps for backward beside the inputs, in MB, and on a GPU the peak of memory.
"""

from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor
from torch.nn.functional import normalize

from bench.measure import DEVICE, GPU, kept_for_backward, measure
from dislayers import nmf

RANK = 64
# Channels and side of the map.
MAPS = ((256, 64), (512, 64), *(((512, 128), (512, 256)) if GPU else ()))
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Of the norm of the result and of its gradient: float32 as PyTorch multiplies it by default, bfloat16 rounded by the
# loop at every operation.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.1}

Factorise = Callable[[Tensor, Tensor, int], Tensor]


def published(x: Tensor, bases: Tensor, steps: int) -> Tensor:
    bases = bases.to(x.dtype)

    def updated(coefficients: Tensor, bases: Tensor) -> Tensor:
        numerator = torch.bmm(x.transpose(1, 2), bases)
        denominator = torch.bmm(coefficients, torch.bmm(bases.transpose(1, 2), bases))
        return coefficients * numerator / (denominator + 1e-6)

    coefficients = torch.bmm(x.transpose(1, 2), bases).softmax(dim=-1)
    for _ in range(steps):
        coefficients = updated(coefficients, bases)
        numerator = torch.bmm(x, coefficients)
        denominator = torch.bmm(bases, torch.bmm(coefficients.transpose(1, 2), coefficients))
        bases = bases * numerator / (denominator + 1e-6)
    return torch.bmm(bases, updated(coefficients, bases).transpose(1, 2))


IMPLEMENTATIONS: dict[str, Callable[[], Factorise]] = {
    "dislayers": lambda: nmf,
    "PyTorch": lambda: published,
    "torch.compile": lambda: torch.compile(published),
}


def inputs(channels: int, side: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Features, bases, and a gradient of the result."""
    torch.manual_seed(0)
    x = torch.randn(1, channels, side * side, device=DEVICE).relu().to(dtype).requires_grad_()
    bases = normalize(torch.rand(1, channels, RANK, device=DEVICE), dim=1)
    return x, bases, torch.randn(x.shape, device=DEVICE).to(dtype)


def check(factorise: Factorise, x: Tensor, bases: Tensor, upstream: Tensor, steps: int) -> None:
    """Result and gradient are those of the loop in float64."""
    exact = x.detach().double().requires_grad_()
    expected, result = published(exact, bases, steps), factorise(x, bases, steps)
    (right,) = torch.autograd.grad(expected, exact, upstream.double())
    (gradient,) = torch.autograd.grad(result, x, upstream)
    for name, one, other in (("result", result, expected), ("gradient", gradient, right)):
        error = ((one.double() - other).norm() / other.norm()).item()
        assert error <= TOLERANCE[x.dtype], f"the {name} is off by {error:.2g} of its norm"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(("channels", "side"), MAPS)
@pytest.mark.parametrize("dtype", list(DTYPES) if GPU else ["fp32"])
def test_evaluation(benchmark: BenchmarkFixture, dtype: str, channels: int, side: int, implementation: str) -> None:
    benchmark.group = f"NMF, 7 steps, {channels}x{side}x{side} rank {RANK} {dtype}"
    x, bases, upstream = inputs(channels, side, DTYPES[dtype])
    factorise = IMPLEMENTATIONS[implementation]()
    check(factorise, x, bases, upstream, 7)
    with torch.no_grad():
        measure(benchmark, lambda: factorise(x, bases, 7))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(("channels", "side"), MAPS)
@pytest.mark.parametrize("dtype", list(DTYPES) if GPU else ["fp32"])
def test_training(benchmark: BenchmarkFixture, dtype: str, channels: int, side: int, implementation: str) -> None:
    benchmark.group = f"NMF, 6 steps, forward and backward, {channels}x{side}x{side} rank {RANK} {dtype}"
    x, bases, upstream = inputs(channels, side, DTYPES[dtype])
    factorise = IMPLEMENTATIONS[implementation]()
    check(factorise, x, bases, upstream, 6)
    kept = kept_for_backward(lambda: factorise(x, bases, 6), [x, bases])
    benchmark.extra_info["kept_for_backward_mb"] = kept
    measure(benchmark, lambda: torch.autograd.grad(factorise(x, bases, 6), x, upstream))
