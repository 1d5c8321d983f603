"""The GELU of a depthwise convolution is what PyTorch's two ops give, and keeps neither's result."""

import math
import os
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dislayers import DepthwiseGELU, depthwise_gelu
from dislayers.depthwise_gelu import reference
from tests.harness import DEVICES, Op, check_op

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

SHAPES = (2, 4, 9, 13), (3, 5, 8, 11), (1, 1, 1, 1), (1, 17, 5, 1), (0, 3, 8, 8)
if INTERPRETED:  # slow, row by row
    SHAPES = (2, 4, 5, 7), (5, 8, 2, 6), (1, 1, 1, 1), (0, 3, 8, 8)


def inputs(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator, size: int = 3
) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """x, weight and bias, of values that bfloat16 holds."""
    channels = shape[1]

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).bfloat16().to(dtype)

    return (noise(*shape), noise(channels, 1, size, size), noise(channels)), {}


def without(index: int, value: object) -> Callable[[], Tensor]:
    """A call with one wrong argument."""
    arguments: list[Any] = [torch.ones(1, 2, 4, 4), torch.ones(2, 1, 3, 3), torch.ones(2)]
    arguments[index] = value
    return lambda: depthwise_gelu(*arguments)


test_depthwise_gelu = check_op(
    Op(
        function=depthwise_gelu,
        reference=reference.depthwise_gelu,
        overload=torch.ops.dislayers.depthwise_gelu.default,
        make_inputs=inputs,
        dtypes=(torch.float32, torch.bfloat16, *(() if INTERPRETED else (torch.float16, torch.float64))),
        shapes=SHAPES,
        # On a GPU what reaches the convolution is rounded on its way to x.
        tolerances={torch.float32: (1e-5, 1e-5), torch.float16: (2e-3, 6e-3), torch.bfloat16: (1.6e-2, 5e-2)},
        differentiable=range(3),
        errors=[
            (without(0, torch.ones(1, 2, 4, 4).int()), TypeError, r"x must be a floating tensor, got int32"),
            (without(1, None), TypeError, r"weight must be a floating tensor, got NoneType"),
            (without(2, torch.ones(2).bool()), TypeError, r"bias must be a floating tensor, got bool"),
            (without(0, torch.ones(2, 4, 4)), ValueError, r"x must have the shape \(B, C, H, W\).*got \(2, 4, 4\)"),
            (without(0, torch.ones(1, 0, 4, 4)), ValueError, r"x must have the shape .* with channels"),
            (without(1, torch.ones(2, 1, 2, 2)), ValueError, r"weight must have .* with k odd, got \(2, 1, 2, 2\)"),
            (without(1, torch.ones(2, 9)), ValueError, r"weight must have .* with k odd, got \(2, 9\)"),
            (without(1, torch.ones(2, 1, 1, 3)), ValueError, r"weight must have the shape \(2, 1, 3, 3\)"),
            (without(1, torch.ones(3, 1, 3, 3)), ValueError, r"weight must have the shape \(2, 1, 3, 3\)"),
            (without(2, torch.ones(3)), ValueError, r"bias must have the shape \(2,\), got float32 \(3,\)"),
            (without(2, torch.ones(2, device="meta")), ValueError, r"bias must be on the device of x, cpu"),
        ],
    )
)


def differentiated(function: Callable[..., Tensor], arguments: tuple[Tensor, ...], incoming: Tensor) -> list[Tensor]:
    leaves = [t.detach().requires_grad_() for t in arguments]
    result = function(*leaves)
    return [result.detach(), *torch.autograd.grad(result, leaves, incoming)]


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_is_its_formula(layout: torch.memory_format, size: int) -> None:
    (x, weight, bias), _ = inputs((2, 3, 5, 4), torch.float32, torch.Generator().manual_seed(0), size)
    x = x.contiguous(memory_format=layout)
    found, reach = depthwise_gelu(x, weight, bias), size // 2
    assert found.is_contiguous(memory_format=layout)
    padded = np.pad(x.double().numpy(), ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    for b, c, i, j in product(range(2), range(3), range(5), range(4)):
        a = (padded[b, c, i : i + size, j : j + size] * weight[c, 0].numpy()).sum() + bias[c].item()
        expected = a * (1 + math.erf(a / math.sqrt(2))) / 2
        assert found[b, c, i, j].item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@given(st.integers(0, 10**6))
@settings(max_examples=6 if INTERPRETED else 40, deadline=None)
def test_any_sizes_and_layouts_have_the_gradients_of_the_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    sizes = [1, 2], [1, 15, 33, 64], [1, 2, 7, 40], [1, 8, 9, 16, 30]
    shape = tuple(int(random.choice(n)) for n in sizes)
    generator = torch.Generator().manual_seed(seed)
    arguments, _ = inputs(shape, torch.float32, generator)
    incoming = torch.randn(shape, generator=generator)
    x, given_ = (t.contiguous(memory_format=torch.channels_last) if random.integers(2) else t
                 for t in (arguments[0], incoming))  # fmt: skip
    right = differentiated(reference.depthwise_gelu, tuple(t.double() for t in arguments), incoming.double())
    found = differentiated(depthwise_gelu, (x, *arguments[1:]), given_)
    for actual, value in zip(found, right, strict=True):
        torch.testing.assert_close(actual.double(), value, rtol=1e-5, atol=1e-5 * float(value.abs().max() + 1))


@pytest.mark.parametrize("device", DEVICES)
def test_far_from_0_it_is_the_number_or_nothing(device: str) -> None:
    x = torch.tensor([-1e30, -300.0, -20.0, 20.0, 300.0, 1e30], device=device).view(1, 1, 1, 6).requires_grad_()
    one = torch.zeros(1, 1, 3, 3, device=device)
    one[..., 1, 1] = 1
    found = depthwise_gelu(x, one, torch.zeros(1, device=device))
    (slope,) = torch.autograd.grad(found.sum(), x)
    torch.testing.assert_close(found.flatten().cpu(), torch.tensor([0, 0, 0, 20.0, 300.0, 1e30]), rtol=1e-6, atol=1e-20)
    torch.testing.assert_close(slope.flatten().cpu(), torch.tensor([0, 0, 0, 1.0, 1.0, 1.0]), rtol=1e-6, atol=1e-18)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_pixel_reaches_its_neighbours_in_its_channel(device: str, value: float) -> None:
    (x, weight, bias), _ = inputs((1, 3, 9, 20), torch.float32, torch.Generator().manual_seed(0))
    expected = depthwise_gelu(*(t.to(device) for t in (x, weight.abs(), bias)))
    x[0, 1, 4, 8] = value
    found = depthwise_gelu(*(t.to(device) for t in (x, weight.abs(), bias)))
    reached = torch.zeros(1, 3, 9, 20, dtype=torch.bool)
    reached[0, 1, 3:6, 7:10] = True
    assert torch.equal(found[~reached], expected[~reached])
    assert not found[reached].isfinite().any()


def test_backward_keeps_the_arguments_alone() -> None:
    arguments, _ = inputs((1, 4, 30, 30), torch.float32, torch.Generator().manual_seed(0))
    kept = set()

    def pack(tensor: Tensor) -> Tensor:
        kept.add(tensor.untyped_storage().data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        depthwise_gelu(*(t.requires_grad_() for t in arguments))
    assert kept == {t.untyped_storage().data_ptr() for t in arguments}


@pytest.mark.parametrize("device", DEVICES)
def test_a_sample_does_not_see_its_batch(device: str) -> None:
    arguments, _ = inputs((3, 20, 9, 11), torch.float32, torch.Generator().manual_seed(0))
    x, weight, bias = (t.to(device) for t in arguments)
    incoming = x.flip(1)
    whole = differentiated(depthwise_gelu, (x, weight, bias), incoming)
    alone = differentiated(depthwise_gelu, (x[1:2], weight, bias), incoming[1:2])
    for i in range(2):
        assert torch.equal(whole[i][1:2], alone[i])


@pytest.mark.parametrize("device", DEVICES)
def test_autocast_changes_nothing(device: str) -> None:
    arguments = tuple(t.to(device) for t in inputs((1, 3, 6, 6), torch.float32, torch.Generator().manual_seed(0))[0])
    expected = differentiated(depthwise_gelu, arguments, arguments[0])
    with torch.autocast(device, dtype=torch.bfloat16):
        found = differentiated(depthwise_gelu, arguments, arguments[0])
    assert all(map(torch.equal, found, expected))


def test_parameters_may_have_another_dtype() -> None:
    (x, weight, bias), _ = inputs((1, 3, 6, 6), torch.float32, torch.Generator().manual_seed(0))
    found = differentiated(depthwise_gelu, (x.half(), weight, bias.bfloat16()), torch.ones_like(x).half())
    assert [t.dtype for t in found] == [torch.float16, torch.float16, torch.float32, torch.bfloat16]
    expected = differentiated(reference.depthwise_gelu, (x, weight, bias), torch.ones_like(x))
    for actual, value in zip(found, expected, strict=True):
        torch.testing.assert_close(actual.float(), value, rtol=1e-2, atol=1e-2 * float(value.abs().max()))


def test_module_is_the_function_and_a_convolution() -> None:
    torch.manual_seed(0)
    module, x = DepthwiseGELU(6, kernel_size=5), torch.randn(2, 6, 9, 8)
    plain = nn.Conv2d(6, 6, 5, padding=2, groups=6)
    plain.load_state_dict(module.state_dict())
    assert isinstance(module, nn.Conv2d)
    assert torch.equal(module(x), depthwise_gelu(x, module.weight, module.bias))
    torch.testing.assert_close(module(x), nn.functional.gelu(plain(x)))


@pytest.mark.parametrize("size", [0, 2, -1])
def test_module_refuses_even_sizes(size: int) -> None:
    with pytest.raises(ValueError, match=f"kernel_size must be an odd number, got {size}"):
        DepthwiseGELU(4, size)
