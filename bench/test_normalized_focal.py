"""Normalized focal loss, forward and backward: ours against the published formula in PyTorch, eager and compiled.

``extra_info`` has what autograd keeps for backward beside the inputs, in MB, and on a GPU the peak of memory.
"""

from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from bench.measure import DEVICE, GPU, measure
from dislosses import normalized_focal_loss
from dislosses.normalized_focal.reference import normalized_focal

BATCH, SIZE = (8 if GPU else 2), 1024
DTYPES = {"fp32": (torch.float32, torch.float32), "bf16, bool target": (torch.bfloat16, torch.bool)}
# Of the largest gradient: the published formula loses digits where a probability is near 0 or 1, bf16 is rounded once.
TOLERANCE = {torch.float32: 2e-3, torch.bfloat16: 2**-8}

Loss = Callable[[Tensor, Tensor], Tensor]


def plain(logits: Tensor, target: Tensor) -> Tensor:
    return normalized_focal(logits, target, alpha=0.5, gamma=2.0, ignore_label=-1).mean()


def published(logits: Tensor, target: Tensor, alpha: float = 0.5, gamma: float = 2.0) -> Tensor:
    target = target.to(torch.float32)
    valid = target != -1
    pt = torch.where(valid, 1 - (target - logits.float().sigmoid()).abs(), 1.0)
    beta = (1 - pt) ** gamma
    count, beta_sum = valid.sum((1, 2, 3), keepdim=True), beta.sum((1, 2, 3), keepdim=True)
    multiplier = (count / (beta_sum + 1e-12)).detach()
    weight = torch.where(target > 0.5, alpha * valid, (1 - alpha) * valid)
    loss = -weight * beta * multiplier * torch.log((pt + 1e-12).clamp_max(1))
    return (loss.sum((1, 2, 3)) / (valid.sum((1, 2, 3)) + 1e-12)).mean()


IMPLEMENTATIONS: dict[str, Callable[[], Loss]] = {
    "dislayers": lambda: normalized_focal_loss,
    "PyTorch": lambda: published,
    "torch.compile": lambda: torch.compile(published),
}


def inputs(logits_dtype: torch.dtype, target_dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    logits = 1.5 * torch.randn(BATCH, 1, SIZE, SIZE, device=DEVICE)
    target = torch.rand_like(logits) > 0.5
    return logits.to(logits_dtype).requires_grad_(), target.to(target_dtype)


def kept_for_backward(loss: Loss, logits: Tensor, target: Tensor) -> float:
    """MB that one call leaves to its backward, the inputs left out."""
    kept = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = loss(logits, target)
    for given in (logits, target):
        kept.pop(given.untyped_storage().data_ptr(), None)
    del result
    return round(sum(kept.values()) / 1e6, 3)


def check(loss: Loss, logits: Tensor, target: Tensor) -> None:
    """Loss and gradient are those of the definition in float64."""
    exact = logits.detach().double().requires_grad_()
    expected = plain(exact, target)
    (expected_gradient,) = torch.autograd.grad(expected, exact)
    result = loss(logits, target)
    (gradient,) = torch.autograd.grad(result, logits)
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=0)
    error = (gradient.double() - expected_gradient).abs().max() / expected_gradient.abs().max()
    assert error <= TOLERANCE[logits.dtype], f"gradient is off by {error:.2g} of its largest value"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtypes", list(DTYPES) if GPU else ["fp32"])
def test_forward_backward(benchmark: BenchmarkFixture, dtypes: str, implementation: str) -> None:
    benchmark.group = f"normalized focal loss, forward and backward, {BATCH}x{SIZE}x{SIZE} {dtypes}"
    logits, target = inputs(*DTYPES[dtypes])
    loss = IMPLEMENTATIONS[implementation]()
    check(loss, logits, target)
    benchmark.extra_info["kept_for_backward_mb"] = kept_for_backward(loss, logits, target)
    measure(benchmark, lambda: torch.autograd.grad(loss(logits, target), logits))
