"""The GELU of a depthwise convolution at the MLPs of MSCAN-B for an image of 512x512 and a batch of crops: ours against
PyTorch's two ops, eager in both layouts and compiled; on a CPU on one thread.

``extra_info`` has what autograd keeps for backward, in MB, and on a GPU the peak of memory.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from bench.measure import DEVICE, GPU, kept_for_backward, measure
from dislayers import depthwise_gelu

pytestmark = pytest.mark.usefixtures("one_thread")

# Samples, channels and the side of the map.
MAPS = [(1, 512, 128), (1, 1024, 64), (1, 1280, 32), (8, 256, 48)]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Of the largest value; sums of bfloat16 products are PyTorch's on a CPU.
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 3e-2}

Activated = Callable[[Tensor, Tensor, Tensor], Tensor]


def published(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.gelu(F.conv2d(x, weight, bias, padding=1, groups=len(bias)))


IMPLEMENTATIONS: dict[str, tuple[Callable[[], Activated], torch.memory_format]] = {
    "dislayers": (lambda: depthwise_gelu, torch.contiguous_format),
    "dislayers, channels_last": (lambda: depthwise_gelu, torch.channels_last),
    "PyTorch": (lambda: published, torch.contiguous_format),
    "PyTorch, channels_last": (lambda: published, torch.channels_last),
    "torch.compile": (lambda: torch.compile(published), torch.contiguous_format),
    "torch.compile, channels_last": (lambda: torch.compile(published), torch.channels_last),
}


def arguments(shape: tuple[int, int, int], dtype: torch.dtype, layout: torch.memory_format) -> list[Tensor]:
    """The map, the parameters and the gradient of the result."""
    torch.manual_seed(0)
    batch, channels, side = shape

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, device=DEVICE).to(dtype)

    x, incoming = (noise(batch, channels, side, side).contiguous(memory_format=layout) for _ in range(2))
    leaves = x, noise(channels, 1, 3, 3) / 3, noise(channels)
    return [*(leaf.requires_grad_() for leaf in leaves), incoming]


def forward_backward(function: Activated, *given: Tensor) -> list[Tensor]:
    *leaves, incoming = given
    result = function(*leaves)
    return [result, *torch.autograd.grad(result, leaves, incoming)]


def check(function: Activated, *given: Tensor) -> None:
    """Result and gradients are those of PyTorch in float64."""
    *leaves, incoming = (tensor.detach().double() for tensor in given)
    expected = forward_backward(published, *(leaf.requires_grad_() for leaf in leaves), incoming)
    for found, right in zip(forward_backward(function, *given), expected, strict=True):
        tolerance = TOLERANCE[given[0].dtype] * float(right.detach().abs().max())
        torch.testing.assert_close(found.double(), right, rtol=0, atol=tolerance)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", DTYPES if GPU else ["fp32"])
@pytest.mark.parametrize("shape", MAPS)
@pytest.mark.parametrize("direction", ["forward", "forward and backward"])
def test_depthwise_gelu(
    benchmark: BenchmarkFixture, direction: str, shape: tuple[int, int, int], dtype: str, implementation: str
) -> None:
    batch, channels, side = shape
    benchmark.group = f"depthwise_gelu, {direction}, {batch} x {channels} x {side}x{side} {dtype}"
    make, layout = IMPLEMENTATIONS[implementation]
    function, given = make(), arguments(shape, DTYPES[dtype], layout)
    check(function, *given)
    leaves = given[:3]
    if direction == "forward":
        with torch.no_grad():
            measure(benchmark, lambda: function(*leaves))
        return
    benchmark.extra_info["kept_for_backward_mb"] = kept_for_backward(lambda: function(*leaves), leaves)
    measure(benchmark, lambda: forward_backward(function, *given))
