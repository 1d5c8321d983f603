"""Orthogonality of all weights of IS-Net's convolutions, forward and backward: ours against the formula in PyTorch.

``extra_info`` has what autograd keeps for backward beside the weights, in MB, and on a GPU the peak of memory.
"""

from collections.abc import Callable, Sequence

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from bench.measure import DEVICE, measure
from dislosses import orthogonality_loss, orthogonality_weights
from dismodels import create_model

# Of the loss, and of a gradient's norm: rounding decides the signs of what is nearly 0. TF32 has 10 bits.
TOLERANCE = {"highest": (1e-5, 0.02), "high": (1e-2, 0.2)}

Loss = Callable[[Sequence[Tensor]], Tensor]


def published(weights: Sequence[Tensor]) -> Tensor:
    losses = []
    for weight in weights:
        matrix = weight.flatten(1)
        product = matrix @ matrix.T
        losses.append((product - torch.eye(len(product), dtype=product.dtype, device=product.device)).abs().sum())
    return torch.stack(losses).sum()


IMPLEMENTATIONS: dict[str, Callable[[], Loss]] = {
    "dislayers": lambda: orthogonality_loss,
    "PyTorch": lambda: published,
    "torch.compile": lambda: torch.compile(published),
}


def inputs() -> list[Tensor]:
    torch.manual_seed(0)
    return orthogonality_weights(create_model("isnet").to(DEVICE))


def kept_for_backward(loss: Loss, weights: Sequence[Tensor]) -> float:
    """MB that one call leaves to its backward, the weights left out."""
    kept = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = loss(weights)
    for weight in weights:
        kept.pop(weight.untyped_storage().data_ptr(), None)
    del result
    return round(sum(kept.values()) / 1e6, 3)


def check(loss: Loss, weights: Sequence[Tensor], loss_tolerance: float, tolerance: float) -> None:
    """Loss and gradients are those of the definition in float64."""
    exact = [w.detach().double().requires_grad_() for w in weights]
    expected, result = published(exact), loss(weights)
    torch.testing.assert_close(result.double(), expected, rtol=loss_tolerance, atol=0)
    pairs = zip(torch.autograd.grad(result, weights), torch.autograd.grad(expected, exact), strict=True)
    error = max(((actual.double() - right).norm() / right.norm()).item() for actual, right in pairs)
    assert error <= tolerance, f"a gradient is off by {error:.2g} of its norm"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("precision", ["highest", "high"] if DEVICE == "cuda" else ["highest"])
def test_forward_backward(benchmark: BenchmarkFixture, precision: str, implementation: str) -> None:
    benchmark.group = f"orthogonality, forward and backward, 119 weights of IS-Net, float32 {precision}"
    weights = inputs()
    torch.set_float32_matmul_precision(precision)
    try:
        loss = IMPLEMENTATIONS[implementation]()
        check(loss, weights, *TOLERANCE[precision])
        benchmark.extra_info["kept_for_backward_mb"] = kept_for_backward(loss, weights)
        measure(benchmark, lambda: torch.autograd.grad(loss(weights), weights))
    finally:
        torch.set_float32_matmul_precision("highest")
