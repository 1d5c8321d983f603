"""Upsampling beside a skip connection, at the steps of U²-Net's and IS-Net's decoders: ours against PyTorch's two ops,
eager in both layouts and compiled; on a CPU on one thread.

``extra_info`` has what autograd keeps for backward, in MB, and on a GPU the peak of memory.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from bench.measure import DEVICE, GPU, kept_for_backward, measure
from dislayers import upsample_concat

pytestmark = pytest.mark.usefixtures("one_thread")

# Channels of either map, and the side of the result.
STEPS = [(32, 256), (16, 512), (512, 32)]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

Joined = Callable[[Tensor, Tensor], Tensor]


def published(x: Tensor, skip: Tensor) -> Tensor:
    larger = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
    return torch.cat((larger, skip), 1)


IMPLEMENTATIONS: dict[str, tuple[Callable[[], Joined], torch.memory_format]] = {
    "dislayers": (lambda: upsample_concat, torch.contiguous_format),
    "dislayers, channels_last": (lambda: upsample_concat, torch.channels_last),
    "PyTorch": (lambda: published, torch.contiguous_format),
    "PyTorch, channels_last": (lambda: published, torch.channels_last),
    "torch.compile": (lambda: torch.compile(published), torch.contiguous_format),
    "torch.compile, channels_last": (lambda: torch.compile(published), torch.channels_last),
}


def arguments(channels: int, side: int, dtype: torch.dtype, layout: torch.memory_format) -> list[Tensor]:
    """The map, the skip connection and the gradient of the result."""
    torch.manual_seed(0)
    shapes = (channels, side // 2), (channels, side), (2 * channels, side)
    made = [torch.randn(1, c, n, n, device=DEVICE).to(dtype).contiguous(memory_format=layout) for c, n in shapes]
    return [*(x.requires_grad_() for x in made[:2]), made[2]]


def forward_backward(function: Joined, x: Tensor, skip: Tensor, incoming: Tensor) -> list[Tensor]:
    result = function(x, skip)
    return [result, *torch.autograd.grad(result, (x, skip), incoming)]


def check(function: Joined, *given: Tensor) -> None:
    """Result and gradients are those of PyTorch in float64."""
    *leaves, incoming = (tensor.detach().double() for tensor in given)
    expected = forward_backward(published, *(x.requires_grad_() for x in leaves), incoming)
    tolerance = 1e-5 if given[0].dtype == torch.float32 else 2**-7
    for found, right in zip(forward_backward(function, *given), expected, strict=True):
        torch.testing.assert_close(found.double(), right, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", DTYPES if GPU else ["fp32"])
@pytest.mark.parametrize(("channels", "side"), STEPS)
@pytest.mark.parametrize("direction", ["forward", "forward and backward"])
def test_upsample_concat(
    benchmark: BenchmarkFixture, direction: str, channels: int, side: int, dtype: str, implementation: str
) -> None:
    benchmark.group = f"upsample_concat, {direction}, {channels} + {channels} x {side}x{side} {dtype}"
    make, layout = IMPLEMENTATIONS[implementation]
    function, given = make(), arguments(channels, side, DTYPES[dtype], layout)
    check(function, *given)
    x, skip, _ = given
    if direction == "forward":
        with torch.no_grad():
            measure(benchmark, lambda: function(x, skip))
        return
    benchmark.extra_info["kept_for_backward_mb"] = kept_for_backward(lambda: function(x, skip), (x, skip))
    measure(benchmark, lambda: forward_backward(function, *given))
