"""Deep supervision with IS-Net's six side outputs, forward and backward: ours against the published way, eager and
compiled: every side output is upsampled, goes through a sigmoid, and then into the binary cross entropy.

``extra_info`` has what autograd keeps for backward beside the inputs, in MB, and on a GPU the peak of memory.
"""

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from bench.measure import DEVICE, GPU, kept_for_backward, measure
from dislosses import deep_supervision_loss

BATCH, SIZE = (8 if GPU else 2), 1024
SIDES = [SIZE >> i for i in range(1, 7)]
DTYPES = {"fp32": (torch.float32, torch.float32), "bf16, bool target": (torch.bfloat16, torch.bool)}
# Of the largest gradient of a side output: bf16 is rounded once.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2**-8}

Loss = Callable[[Sequence[Tensor], Tensor], Tensor]


def published(logits: Sequence[Tensor], target: Tensor) -> Tensor:
    probabilities = (F.interpolate(x.float(), target.shape[-2:], mode="bilinear").sigmoid() for x in logits)
    return torch.stack([F.binary_cross_entropy(p, target.float()) for p in probabilities]).sum()


IMPLEMENTATIONS: dict[str, Callable[[], Loss]] = {
    "dislayers": lambda: deep_supervision_loss,
    "PyTorch": lambda: published,
    "torch.compile": lambda: torch.compile(published),
}


def inputs(logits_dtype: torch.dtype, target_dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    torch.manual_seed(0)
    logits = [1.5 * torch.randn(BATCH, 1, side, side, device=DEVICE) for side in SIDES]
    target = torch.rand(BATCH, 1, SIZE, SIZE, device=DEVICE) > 0.5
    return [x.to(logits_dtype).requires_grad_() for x in logits], target.to(target_dtype)


def check(loss: Loss, logits: Sequence[Tensor], target: Tensor) -> None:
    """Loss and gradient are those of the definition in float64."""
    exact, labels = [x.detach().double().requires_grad_() for x in logits], target.double()
    upsampled = (F.interpolate(x, target.shape[-2:], mode="bilinear") for x in exact)
    expected = torch.stack([F.binary_cross_entropy_with_logits(x, labels) for x in upsampled]).sum()
    result = loss(logits, target)
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=0)
    for found, right in zip(torch.autograd.grad(result, logits), torch.autograd.grad(expected, exact), strict=True):
        error = (found.double() - right).abs().max() / right.abs().max()
        assert error <= TOLERANCE[found.dtype], f"gradient is off by {error:.2g} of its largest value"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtypes", list(DTYPES) if GPU else ["fp32"])
def test_forward_backward(benchmark: BenchmarkFixture, dtypes: str, implementation: str) -> None:
    benchmark.group = f"deep supervision, IS-Net's six outputs, forward and backward, {BATCH}x{SIZE}x{SIZE} {dtypes}"
    logits, target = inputs(*DTYPES[dtypes])
    loss = IMPLEMENTATIONS[implementation]()
    check(loss, logits, target)
    benchmark.extra_info["kept_for_backward_mb"] = kept_for_backward(lambda: loss(logits, target), (*logits, target))
    measure(benchmark, lambda: torch.autograd.grad(loss(logits, target), logits))
