"""A residual U-block of IS-Net, RSU-7 with 64, 32 and 64 channels: a training step and inference, ours against the same
block composed of PyTorch's modules, eager and compiled; on a CPU on one thread.

``extra_info`` has what autograd keeps for backward, the block's input and parameters left out, in MB, and on a GPU the
peak of memory.
"""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn

from bench.measure import DEVICE, GPU, kept_for_backward, measure
from bench.official.networks import plain
from dislayers import RSU

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = 512 if GPU else 256
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Of the norm of the result, and of that of the input's gradient, in which float32 rounds some ReLUs and maxima another
# way: against float64 that makes half a percent. The published block rounds bfloat16 after every module.
TOLERANCE = {torch.float32: (1e-4, 2e-2), torch.bfloat16: (0.1, 0.2)}

IMPLEMENTATIONS: dict[str, tuple[Callable[[RSU], nn.Module], torch.memory_format]] = {
    "dislayers": (lambda block: block, torch.channels_last),
    "dislayers, NCHW": (lambda block: block, torch.contiguous_format),
    "PyTorch": (plain, torch.channels_last),
    "PyTorch, NCHW": (plain, torch.contiguous_format),
    "torch.compile": (lambda block: torch.compile(plain(block)), torch.channels_last),  # type: ignore[dict-item]
}


def made(implementation: str, dtype: str) -> tuple[nn.Module, Tensor]:
    """The block and its input; the block agrees with the published one."""
    torch.manual_seed(0)
    make, layout = IMPLEMENTATIONS[implementation]
    block = RSU(7, 64, 32, 64).to(DEVICE, DTYPES[dtype], memory_format=layout)
    x = torch.randn(1, 64, SIZE, SIZE, device=DEVICE, dtype=DTYPES[dtype]).contiguous(memory_format=layout)
    check(block, make, x)
    return make(block), x.requires_grad_()


def check(block: RSU, make: Callable[[RSU], nn.Module], x: Tensor) -> None:
    found, expected = (step(composed(deepcopy(block)), x.clone().requires_grad_()) for composed in (make, plain))
    for ours, right, tolerance in zip(found, expected, TOLERANCE[x.dtype], strict=True):
        assert (ours - right).norm() <= tolerance * right.norm()


def step(block: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    out = block(x)
    return out.detach(), *torch.autograd.grad(out, x, out.detach())


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", DTYPES if GPU else ["fp32"])
def test_training(benchmark: BenchmarkFixture, dtype: str, implementation: str) -> None:
    benchmark.group = f"RSU-7 64-32-64 {SIZE}², forward and backward, {dtype}"
    block, x = made(implementation, dtype)
    incoming = torch.randn_like(x)
    leaves = [x, *block.parameters()]
    benchmark.extra_info["kept_for_backward_mb"] = kept_for_backward(lambda: block(x), leaves)
    measure(benchmark, lambda: torch.autograd.grad(block(x), leaves, incoming))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", DTYPES if GPU else ["fp32"])
def test_inference(benchmark: BenchmarkFixture, dtype: str, implementation: str) -> None:
    benchmark.group = f"RSU-7 64-32-64 {SIZE}², inference, {dtype}"
    block, x = made(implementation, dtype)
    block.eval()
    with torch.inference_mode():
        measure(benchmark, lambda: block(x))
