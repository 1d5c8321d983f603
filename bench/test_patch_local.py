"""ThreshNet's last decoder level, 64 and 32 channels in 8x8 patches: gate, upsampling and concatenation by ours against
the published way with patches cut out, eager and compiled; on a CPU on one thread.

The convolutions of the gate are left out: they are the same. ``extra_info`` has what autograd keeps for backward beside
the inputs, in MB.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from bench.measure import DEVICE, GPU, kept_for_backward, measure
from dislayers import patch_local, split_patches

pytestmark = pytest.mark.usefixtures("one_thread")

GRID = 8, 8
CHANNELS, SKIP, HIDDEN = 64, 32, 32
# Batch, and side of the decoder's map: half that of the result.
BATCH, SIDE = (4, 256) if GPU else (1, 64)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Of the largest value: what is rounded between the published steps.
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 3e-2}

Level = Callable[..., Tensor]


def published(
    g: Tensor, x: Tensor, gate_g: Tensor, gate_x: Tensor, weight: Tensor, bias: Tensor, grid: tuple[int, int]
) -> Tensor:
    """A level of the global decoder, run on patches as samples."""
    g, x, gate_g, gate_x = (split_patches(v, grid) for v in (g, x, gate_g, gate_x))
    attention = torch.sigmoid(F.conv2d(F.relu(gate_g + gate_x), weight, bias))
    up, weights = (F.interpolate(v, scale_factor=2, mode="bilinear", align_corners=False) for v in (g, attention))
    return torch.cat((up, x * weights), 1)


IMPLEMENTATIONS: dict[str, tuple[Callable[[], Level], torch.memory_format]] = {
    "dislayers": (lambda: patch_local, torch.contiguous_format),
    "dislayers, channels_last": (lambda: patch_local, torch.channels_last),
    "PyTorch": (lambda: published, torch.contiguous_format),
    "PyTorch, channels_last": (lambda: published, torch.channels_last),
    "torch.compile": (lambda: torch.compile(published), torch.contiguous_format),
    "torch.compile, channels_last": (lambda: torch.compile(published), torch.channels_last),
}


def level(
    batch: int,
    side: int,
    dtype: torch.dtype = torch.float32,
    layout: torch.memory_format = torch.contiguous_format,
) -> tuple[Tensor | tuple[int, int], ...]:
    """Maps, gates, weight and bias, and the grid."""
    torch.manual_seed(0)
    maps = [(CHANNELS, side), (SKIP, 2 * side), (HIDDEN, side), (HIDDEN, side)]
    shapes = [*((batch, channels, size, size) for channels, size in maps), (1, HIDDEN, 1, 1)]
    tensors = [torch.randn(shape).to(dtype).contiguous(memory_format=layout) for shape in shapes]
    return *(tensor.requires_grad_() for tensor in (*tensors, torch.zeros(1, dtype=dtype))), GRID


def forward_backward(function: Level, given: list[Tensor], incoming: Tensor) -> list[Tensor]:
    result = function(*given, GRID)
    return [result, *torch.autograd.grad(result, given, incoming)]


def check(function: Level, given: list[Tensor], incoming: Tensor) -> None:
    """Result and gradients are those of the published way in float64."""
    exact = [x.detach().double().requires_grad_() for x in given]
    expected = forward_backward(published, exact, incoming.double())
    for i, (found, right) in enumerate(zip(forward_backward(function, given, incoming), expected, strict=True)):
        error = (found.double() - right).abs().max() / right.abs().max()
        assert error <= TOLERANCE[found.dtype], f"output {i} is off by {error:.2g} of its largest value"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", DTYPES if GPU else ["fp32"])
@pytest.mark.parametrize("direction", ["forward", "forward and backward"])
def test_level(benchmark: BenchmarkFixture, direction: str, dtype: str, implementation: str) -> None:
    benchmark.group = f"patch-local level, {direction}, B{BATCH} {CHANNELS} + {SKIP}x{2 * SIDE}x{2 * SIDE} {dtype}"
    make, layout = IMPLEMENTATIONS[implementation]
    with torch.device(DEVICE):
        *given, _ = level(BATCH, SIDE, DTYPES[dtype], layout)
        incoming = torch.randn(published(*given, GRID).shape).to(DTYPES[dtype]).contiguous(memory_format=layout)
    function = make()
    check(function, given, incoming)
    if direction == "forward":
        with torch.no_grad():
            measure(benchmark, lambda: function(*given, GRID))
        return
    benchmark.extra_info["kept_for_backward_mb"] = kept_for_backward(lambda: function(*given, GRID), given)
    measure(benchmark, lambda: forward_backward(function, given, incoming))
