"""Laplacian boundary loss, forward and backward: ours against the published formula in PyTorch, eager and compiled.

``extra_info`` has what autograd keeps for backward beside the inputs, in MB, and on a GPU the peak of memory.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from bench.measure import GPU, kept_for_backward, measure
from bench.test_pixel_losses import BATCH, DTYPES, SIZE, Loss, inputs
from dislosses import laplacian_boundary_loss
from dislosses.laplacian_boundary.reference import laplacian_boundary

# The median relative error of the gradient: near an edge of 0 it has a pole, where float32 has few digits.
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-8}


def plain(logits: Tensor, target: Tensor) -> Tensor:
    return laplacian_boundary(logits, target, "abs", 8, "logits").mean()


def published(logits: Tensor, target: Tensor) -> Tensor:
    weight = -torch.ones(1, 1, 3, 3, device=logits.device)
    weight[..., 1, 1] = 8
    found, wanted = (
        F.conv2d(planes, weight, padding=1).tanh().abs() for planes in (logits.float().sigmoid(), target.float())
    )
    return F.binary_cross_entropy(found.clamp(1e-7, 1 - 1e-7), wanted)


IMPLEMENTATIONS: dict[str, Callable[[], Loss]] = {
    "dislayers": lambda: laplacian_boundary_loss,
    "PyTorch": lambda: published,
    "torch.compile": lambda: torch.compile(published),
}


def check(loss: Loss, logits: Tensor, target: Tensor) -> None:
    """Loss and gradient are those of the definition in float64."""
    exact = logits.detach().double().requires_grad_()
    expected = plain(exact, target)
    (expected_gradient,) = torch.autograd.grad(expected, exact)
    result = loss(logits, target)
    (gradient,) = torch.autograd.grad(result, logits)
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=0)
    error = ((gradient.double() - expected_gradient).abs() / expected_gradient.abs().clamp_min(1e-30)).median()
    assert error <= TOLERANCE[logits.dtype], f"gradient is off by {error:.2g} of itself"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtypes", list(DTYPES) if GPU else ["fp32"])
def test_forward_backward(benchmark: BenchmarkFixture, dtypes: str, implementation: str) -> None:
    benchmark.group = f"Laplacian boundary loss, forward and backward, {BATCH}x{SIZE}x{SIZE} {dtypes}"
    logits, target = inputs(*DTYPES[dtypes])
    loss = IMPLEMENTATIONS[implementation]()
    check(loss, logits, target)
    benchmark.extra_info["kept_for_backward_mb"] = kept_for_backward(lambda: loss(logits, target), (logits, target))
    measure(benchmark, lambda: torch.autograd.grad(loss(logits, target), logits))
