"""Losses over pixels, forward and backward: ours against the published formulas in PyTorch, eager and compiled.

``extra_info`` has what autograd keeps for backward beside the inputs, in MB.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

import dislosses
from bench.measure import DEVICE, GPU, kept_for_backward, measure

BATCH, SIZE = (8 if GPU else 2), 1024
DTYPES = {"fp32": (torch.float32, torch.float32), "bf16, bool target": (torch.bfloat16, torch.bool)}
# Of the largest gradient: the published formulas lose digits where a probability is near 0 or 1, bf16 is rounded once.
TOLERANCE = {torch.float32: 2e-3, torch.bfloat16: 2**-8}

Loss = Callable[[Tensor, Tensor], Tensor]


def published_bce(logits: Tensor, target: Tensor) -> Tensor:
    """IS-Net's: of logits, so that PyTorch's best function is the peer."""
    logits = _at_least_float32(logits)
    return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype))


def published_iou(logits: Tensor, target: Tensor) -> Tensor:
    """DIS-SAM's, over samples and channels."""
    logits = _at_least_float32(logits)
    probability, target = logits.sigmoid(), target.to(logits.dtype)
    intersection = (probability * target).sum((2, 3))
    union = (probability + target - probability * target).sum((2, 3))
    return (1 - (intersection + 1) / (union + 1)).mean()


def published_bce_iou(logits: Tensor, target: Tensor) -> Tensor:
    """DIS-SAM's mixed loss."""
    return 20 * published_bce(logits, target) + 0.5 * published_iou(logits, target)


def published_focal(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """ThreshNet's, with PyTorch's logarithm of the sigmoid."""
    logits = _at_least_float32(logits)
    signed = torch.where(target > 0.5, logits, -logits)
    return (-((1 - signed.sigmoid()) ** gamma) * F.logsigmoid(signed)).mean()


def published_normalized_focal(logits: Tensor, target: Tensor, alpha: float = 0.5, gamma: float = 2.0) -> Tensor:
    """RITM's."""
    logits = _at_least_float32(logits)
    target = target.to(logits.dtype)
    valid = target != -1
    pt = torch.where(valid, 1 - (target - logits.sigmoid()).abs(), 1.0)
    beta = (1 - pt) ** gamma
    count, beta_sum = valid.sum((1, 2, 3), keepdim=True), beta.sum((1, 2, 3), keepdim=True)
    multiplier = (count / (beta_sum + 1e-12)).detach()
    weight = torch.where(target > 0.5, alpha * valid, (1 - alpha) * valid)
    loss = -weight * beta * multiplier * torch.log((pt + 1e-12).clamp_max(1))
    return (loss.sum((1, 2, 3)) / (valid.sum((1, 2, 3)) + 1e-12)).mean()


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


LOSSES: dict[str, tuple[Loss, Loss]] = {
    "bce": (dislosses.bce_loss, published_bce),
    "iou": (dislosses.iou_loss, published_iou),
    "bce_iou": (dislosses.bce_iou_loss, published_bce_iou),
    "focal": (dislosses.focal_loss, published_focal),
    "normalized_focal": (dislosses.normalized_focal_loss, published_normalized_focal),
}
IMPLEMENTATIONS: dict[str, Callable[[Loss, Loss], Loss]] = {
    "dislayers": lambda ours, _: ours,
    "PyTorch": lambda _, published: published,
    "torch.compile": lambda _, published: torch.compile(published),
}


def inputs(logits_dtype: torch.dtype, target_dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    logits = 1.5 * torch.randn(BATCH, 1, SIZE, SIZE, device=DEVICE)
    target = torch.rand_like(logits) > 0.5
    return logits.to(logits_dtype).requires_grad_(), target.to(target_dtype)


def check(loss: Loss, published: Loss, logits: Tensor, target: Tensor) -> None:
    """Loss and gradient are those of the published formula in float64."""
    exact = logits.detach().double().requires_grad_()
    expected = published(exact, target)
    (expected_gradient,) = torch.autograd.grad(expected, exact)
    result = loss(logits, target)
    (gradient,) = torch.autograd.grad(result, logits)
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=0)
    error = (gradient.double() - expected_gradient).abs().max() / expected_gradient.abs().max()
    assert error <= TOLERANCE[logits.dtype], f"gradient is off by {error:.2g} of its largest value"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtypes", list(DTYPES) if GPU else ["fp32"])
@pytest.mark.parametrize("name", LOSSES)
def test_forward_backward(benchmark: BenchmarkFixture, name: str, dtypes: str, implementation: str) -> None:
    benchmark.group = f"{name} loss, forward and backward, {BATCH}x{SIZE}x{SIZE} {dtypes}"
    logits, target = inputs(*DTYPES[dtypes])
    ours, published = LOSSES[name]
    loss = IMPLEMENTATIONS[implementation](ours, published)
    check(loss, published, logits, target)
    benchmark.extra_info["kept_for_backward_mb"] = kept_for_backward(lambda: loss(logits, target), (logits, target))
    measure(benchmark, lambda: torch.autograd.grad(loss(logits, target), logits))
