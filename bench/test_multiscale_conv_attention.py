"""Multi-scale convolutional attention, its depthwise part and the whole, at the stages of MSCAN-B for an image of
1024x1024: ours against the published way, eager in both layouts and compiled; on a CPU on one thread.

``extra_info`` has what autograd keeps for backward, inputs included, in MB, and on a GPU the peak of memory.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from bench.measure import DEVICE, GPU, kept_for_backward, measure
from dislayers import MultiScaleConvAttention, multiscale_depthwise

pytestmark = pytest.mark.usefixtures("one_thread")

STAGES = [(64, 256), (128, 128), (320, 64), (512, 32)]
SQUARE, STRIPS = 5, (7, 11, 21)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Of the largest value: what is rounded between the published convolutions.
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 3e-2}

Depthwise = Callable[..., Tensor]


def published(x: Tensor, weight: Tensor, bias: Tensor, *strips: list[Tensor]) -> Tensor:
    convolve = partial(F.conv2d, padding="same", groups=len(bias))
    a = convolve(x, weight, bias)
    result = a
    for row, row_bias, column, column_bias in zip(*strips, strict=True):
        result = result + convolve(convolve(a, row, row_bias), column, column_bias)
    return result


IMPLEMENTATIONS: dict[str, tuple[Callable[[], Depthwise], torch.memory_format]] = {
    "dislayers": (lambda: multiscale_depthwise, torch.contiguous_format),
    "dislayers, channels_last": (lambda: multiscale_depthwise, torch.channels_last),
    "PyTorch": (lambda: published, torch.contiguous_format),
    "PyTorch, channels_last": (lambda: published, torch.channels_last),
    "torch.compile": (lambda: torch.compile(published), torch.contiguous_format),
}


def arguments(channels: int, size: int, dtype: torch.dtype, layout: torch.memory_format) -> tuple[Any, ...]:
    """The image, the parameters and the gradient of the result."""
    torch.manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, device=DEVICE).mul(0.2).to(dtype)

    image, incoming = (noise(1, channels, size, size).contiguous(memory_format=layout) for _ in range(2))
    rows, columns = ([noise(channels, 1, *shape) for shape in shapes] for shapes in (
        [(1, strip) for strip in STRIPS], [(strip, 1) for strip in STRIPS]))  # fmt: skip
    biases = [[noise(channels) for _ in STRIPS] for _ in range(2)]
    given = (image, noise(channels, 1, SQUARE, SQUARE), noise(channels), rows, biases[0], columns, biases[1])
    return tree_map(Tensor.requires_grad_, given), incoming


def forward_backward(function: Depthwise, given: tuple[Any, ...], incoming: Tensor) -> list[Tensor]:
    result = function(*given)
    return [result, *torch.autograd.grad(result, tree_leaves(given), incoming)]


def check(function: Depthwise, given: tuple[Any, ...], incoming: Tensor) -> None:
    """Result and gradients are those of the published convolutions in float32."""
    exact = tree_map(lambda x: x.detach().float().requires_grad_(), given)
    expected = forward_backward(published, exact, incoming.float())
    for i, (found, right) in enumerate(zip(forward_backward(function, given, incoming), expected, strict=True)):
        error = (found.float() - right).abs().max() / right.abs().max()
        assert error <= TOLERANCE[found.dtype], f"output {i} is off by {error:.2g} of its largest value"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", DTYPES if GPU else ["fp32"])
@pytest.mark.parametrize(("channels", "size"), STAGES)
@pytest.mark.parametrize("direction", ["forward", "forward and backward"])
def test_depthwise(
    benchmark: BenchmarkFixture, direction: str, channels: int, size: int, dtype: str, implementation: str
) -> None:
    benchmark.group = f"multi-scale depthwise, {direction}, {channels}x{size}x{size} {dtype}"
    make, layout = IMPLEMENTATIONS[implementation]
    function, (given, incoming) = make(), arguments(channels, size, DTYPES[dtype], layout)
    check(function, given, incoming)
    if direction == "forward":
        with torch.no_grad():
            measure(benchmark, lambda: function(*given))
        return
    benchmark.extra_info["kept_for_backward_mb"] = kept_for_backward(lambda: function(*given), ())
    measure(benchmark, lambda: forward_backward(function, given, incoming))


Attention = Callable[[MultiScaleConvAttention, Tensor], Tensor]


def published_attention(module: MultiScaleConvAttention, x: Tensor) -> Tensor:
    """As SegNeXt's code computes it, which gates a copy of the image."""
    gated = x.clone()
    a = module.depthwise(x)
    branches = [column(row(a)) for row, column in zip(module.rows, module.columns, strict=True)]
    gate: Tensor = module.pointwise(sum(branches, a))
    return gate * gated


ATTENTIONS: dict[str, tuple[Attention, torch.memory_format]] = {
    "dislayers": (MultiScaleConvAttention.forward, torch.contiguous_format),
    "dislayers, channels_last": (MultiScaleConvAttention.forward, torch.channels_last),
    "PyTorch": (published_attention, torch.contiguous_format),
    "PyTorch, channels_last": (published_attention, torch.channels_last),
}


def trained(attention: Attention, module: MultiScaleConvAttention, x: Tensor, incoming: Tensor) -> list[Tensor]:
    result = attention(module, x)
    return [result, *torch.autograd.grad(result, [x, *module.parameters()], incoming)]


@pytest.mark.parametrize("implementation", ATTENTIONS)
@pytest.mark.parametrize("dtype", DTYPES if GPU else ["fp32"])
@pytest.mark.parametrize(("channels", "size"), STAGES)
def test_attention(benchmark: BenchmarkFixture, channels: int, size: int, dtype: str, implementation: str) -> None:
    benchmark.group = f"multi-scale attention, forward and backward, {channels}x{size}x{size} {dtype}"
    attention, layout = ATTENTIONS[implementation]
    torch.manual_seed(0)
    module = MultiScaleConvAttention(channels).to(DEVICE, DTYPES[dtype], memory_format=layout)
    (x, *_), incoming = arguments(channels, size, DTYPES[dtype], layout)
    expected = trained(
        published_attention, deepcopy(module).float(), x.detach().float().requires_grad_(), incoming.float()
    )
    for i, (found, right) in enumerate(zip(trained(attention, module, x, incoming), expected, strict=True)):
        error = (found.float() - right).abs().max() / right.abs().max()
        assert error <= TOLERANCE[found.dtype], f"output {i} is off by {error:.2g} of its largest value"
    benchmark.extra_info["kept_for_backward_mb"] = kept_for_backward(lambda: attention(module, x), ())
    measure(benchmark, lambda: trained(attention, module, x, incoming))
