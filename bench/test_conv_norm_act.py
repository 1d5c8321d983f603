"""What follows a convolution in training, batch normalisation, ReLU and pooling: ours against PyTorch's operations one
by one, eager in both layouts and compiled.

``extra_info`` has what autograd keeps for backward, the convolution's output included, in MB, and on a GPU the peak of
memory.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from bench.measure import DEVICE, GPU, kept_for_backward, measure
from dislayers import batch_norm_relu

CHANNELS, SIZE = 32, 512 if GPU else 256
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Of the largest value: float32 added up in another order, and what is rounded between PyTorch's operations.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}

Outputs = tuple[Tensor, ...]
Normalize = Callable[[Tensor, Tensor, Tensor, bool], Outputs]


def published(x: Tensor, weight: Tensor, bias: Tensor, pool: bool) -> Outputs:
    out = F.relu(F.batch_norm(x, None, None, weight, bias, training=True))
    return (out, F.max_pool2d(out, 2, stride=2, ceil_mode=True)) if pool else (out,)


def ours(x: Tensor, weight: Tensor, bias: Tensor, pool: bool) -> Outputs:
    out, pooled, *_ = batch_norm_relu(x, weight, bias, pool=pool)
    return (out,) if pooled is None else (out, pooled)


def _last(normalize: Normalize, pool: bool) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda *given: normalize(*given, pool)[-1]


LAST_OUTPUT = {
    what: (_last(ours, pool), _last(published, pool)) for what, pool in {"": False, " and pooling": True}.items()
}
"""What each implementation gives last, for the count of their traffic."""


IMPLEMENTATIONS: dict[str, tuple[Callable[[], Normalize], torch.memory_format]] = {
    "dislayers": (lambda: ours, torch.contiguous_format),
    "dislayers, channels_last": (lambda: ours, torch.channels_last),
    "PyTorch": (lambda: published, torch.contiguous_format),
    "PyTorch, channels_last": (lambda: published, torch.channels_last),
    "torch.compile": (lambda: torch.compile(published), torch.contiguous_format),
}


def arguments(dtype: torch.dtype, layout: torch.memory_format) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(1, CHANNELS, SIZE, SIZE, device=DEVICE).to(dtype).contiguous(memory_format=layout)
    weight, bias = torch.rand(CHANNELS, device=DEVICE) + 0.5, torch.randn(CHANNELS, device=DEVICE)
    return x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()


def upstream(outputs: Outputs) -> list[Tensor]:
    generator = torch.Generator(DEVICE).manual_seed(1)
    return [torch.randn(x.shape, device=DEVICE, generator=generator).to(x) for x in outputs]


def check(normalize: Normalize, given: tuple[Tensor, Tensor, Tensor], pool: bool) -> None:
    """Results and sums of gradients are those of PyTorch in float64; which maximum is chosen depends on rounding."""
    exact = [x.detach().double().requires_grad_() for x in given]
    expected, result = published(*exact, pool), normalize(*given, pool)
    right = torch.autograd.grad(expected, exact, [x.double() for x in upstream(result)])
    found = torch.autograd.grad(result, given, upstream(result))
    for i, (one, other) in enumerate(zip([*result, *found[1:]], [*expected, *right[1:]], strict=True)):
        error = ((one.double() - other).abs().max() / other.abs().max()).item()
        assert error <= TOLERANCE[given[0].dtype], f"output {i} is off by {error:.2g} of its largest value"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("pool", [False, True], ids=["map", "pooled"])
@pytest.mark.parametrize("dtype", DTYPES if GPU else ["fp32"])
def test_training(benchmark: BenchmarkFixture, dtype: str, pool: bool, implementation: str) -> None:
    what = "batch norm, ReLU, pooling" if pool else "batch norm, ReLU"
    benchmark.group = f"{what}, forward and backward, {CHANNELS}x{SIZE}x{SIZE} {dtype}"
    make, layout = IMPLEMENTATIONS[implementation]
    given, normalize = arguments(DTYPES[dtype], layout), make()
    check(normalize, given, pool)
    incoming = upstream(normalize(*given, pool))
    kept = kept_for_backward(lambda: normalize(*given, pool)[-1], given[1:])
    benchmark.extra_info["kept_for_backward_mb"] = kept
    measure(benchmark, lambda: torch.autograd.grad(normalize(*given, pool), given, incoming))
