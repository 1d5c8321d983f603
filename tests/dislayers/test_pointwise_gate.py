"""The pointwise gate is a 1x1 convolution times a feature map, and keeps neither."""

import os
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dislayers import pointwise_gate
from dislayers.pointwise_gate import reference
from tests.harness import DEVICES, Op, check_op

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

SHAPES = (2, 3, 9, 13), (3, 2, 8, 11), (1, 1, 1, 1), (0, 3, 8, 8)


def inputs(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator, out: int = 5
) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """s, weight, bias and x, of values that bfloat16 holds."""
    batch, channels, *size = shape

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).bfloat16().to(dtype)

    return (noise(*shape), noise(out, channels, 1, 1), noise(out), noise(batch, out, *size)), {}


def without_autocast(*arguments: Tensor) -> Tensor:
    """Under autocast products are those of autocast's dtype: see the test for that."""
    with torch.autocast(arguments[0].device.type, enabled=False):
        return pointwise_gate(*arguments)


def without(index: int, value: object) -> Callable[[], Tensor]:
    """A call with one wrong argument."""
    arguments: list[Any] = [torch.ones(1, 2, 4, 4), torch.ones(3, 2, 1, 1), torch.ones(3), torch.ones(1, 3, 4, 4)]
    arguments[index] = value
    return lambda: pointwise_gate(*arguments)


@pytest.mark.parametrize("device", DEVICES)
def test_parameters_whose_numbers_lie_apart(device: str) -> None:
    arguments, _ = inputs((2, 3, 4, 5), torch.float32, torch.Generator().manual_seed(0))
    s, weight, bias, x = (tensor.to(device) for tensor in arguments)
    apart = (torch.stack((tensor, -tensor), -1)[..., 0] for tensor in (weight, bias))
    actual, expected = pointwise_gate(s, *apart, x), pointwise_gate(s, weight, bias, x)
    torch.testing.assert_close(actual, expected)


test_pointwise_gate = check_op(
    Op(
        function=without_autocast,
        reference=reference.pointwise_gate,
        overload=torch.ops.dislayers.pointwise_gate.default,
        make_inputs=inputs,
        # float64 goes to the reference, and a program is slow in the interpreter.
        dtypes=(torch.float32, torch.bfloat16, *(() if INTERPRETED else (torch.float16, torch.float64))),
        shapes=SHAPES,
        # The weight's gradient sums what is rounded for each pixel.
        tolerances={torch.float32: (1e-5, 1e-4), torch.float16: (2e-3, 3e-2), torch.bfloat16: (2e-2, 2.5e-1)},
        differentiable=range(4),
        like_first=False,
        errors=[
            (without(0, torch.ones(1, 2, 4, 4).int()), TypeError, r"s must be a floating tensor, got int32"),
            (without(3, None), TypeError, r"x must be a floating tensor, got NoneType"),
            (without(0, torch.ones(2, 4, 4)), ValueError, r"s must have the shape \(B, C, H, W\).*got \(2, 4, 4\)"),
            (without(0, torch.ones(1, 0, 4, 4)), ValueError, r"s must have the shape .* with channels"),
            (without(1, torch.ones(3, 2)), ValueError, r"weight must have the shape \(D, C, 1, 1\), got \(3, 2\)"),
            (without(1, torch.ones(3, 2, 3, 3)), ValueError, r"weight must have the shape \(3, 2, 1, 1\)"),
            (without(1, torch.ones(0, 2, 1, 1)), ValueError, r"weight must have the shape \(D, C, 1, 1\)"),
            (without(2, torch.ones(2)), ValueError, r"bias must have the shape \(3,\), got float32 \(2,\)"),
            (without(3, torch.ones(1, 2, 4, 4)), ValueError, r"x must have the shape \(1, 3, 4, 4\)"),
            (without(3, torch.ones(1, 3, 4, 4, device="meta")), ValueError, r"x must be on the device of s, cpu"),
        ],
    )
)


def differentiated(function: Callable[..., Tensor], arguments: tuple[Tensor, ...], incoming: Tensor) -> list[Tensor]:
    leaves = [t.detach().requires_grad_() for t in arguments]
    result = function(*leaves)
    return [result.detach(), *torch.autograd.grad(result, leaves, incoming)]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_is_its_formula(layout: torch.memory_format) -> None:
    (s, weight, bias, x), _ = inputs((2, 3, 5, 4), torch.float32, torch.Generator().manual_seed(0))
    s, x = (t.contiguous(memory_format=layout) for t in (s, x))
    found, (matrix, offset) = pointwise_gate(s, weight, bias, x), (weight[:, :, 0, 0].double().numpy(), bias.numpy())
    assert found.is_contiguous(memory_format=layout)
    for b, i, j in product(range(2), range(5), range(4)):
        expected = (matrix @ s[b, :, i, j].numpy() + offset) * x[b, :, i, j].numpy()
        np.testing.assert_allclose(found[b, :, i, j].numpy(), expected, rtol=1e-5, atol=1e-5)


@given(st.integers(0, 10**6))
@settings(max_examples=8 if INTERPRETED else 25, deadline=None)
def test_any_sizes_and_layouts_have_the_gradients_of_the_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    batch, channels, out, height, width = (int(random.choice(n)) for n in ([1, 2], [1, 31, 70], [1, 20, 65],
                                                                           [1, 7, 12], [1, 9, 16]))  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    arguments, _ = inputs((batch, channels, height, width), torch.float32, generator, out)
    s, weight, bias, x = arguments
    incoming = torch.randn(x.shape, generator=generator)
    laid_out = [t.contiguous(memory_format=torch.channels_last) if random.integers(2) else t for t in (s, x, incoming)]
    exact = tuple(t.double() for t in arguments)
    right = differentiated(reference.pointwise_gate, exact, incoming.double())
    found = differentiated(pointwise_gate, (laid_out[0], weight, bias, laid_out[1]), laid_out[2])
    for actual, value in zip(found, right, strict=True):
        torch.testing.assert_close(actual.double(), value, rtol=1e-5, atol=1e-5 * float(value.abs().max() + 1))


@pytest.mark.parametrize("value", [float("nan"), 1e30, 0.0])
def test_a_pixel_reaches_its_own_pixel(value: float) -> None:
    (s, weight, bias, x), _ = inputs((1, 3, 9, 9), torch.float32, torch.Generator().manual_seed(0))
    expected = pointwise_gate(s, weight, bias, x)
    s[0, :, 4, 5] = value
    found = pointwise_gate(s, weight, bias, x)
    changed = (found != expected)[0]
    assert changed[:, 4, 5].all()
    assert changed.sum() == changed[:, 4, 5].sum()
    assert found.isfinite().all() != (value != value)


def kept(function: Callable[..., Tensor], arguments: tuple[Tensor, ...]) -> dict[int, int]:
    """The addresses and bytes of what one call keeps for its backward."""
    storages = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function(*(t.requires_grad_() for t in arguments))
    return storages


def test_backward_keeps_the_arguments_and_no_gate() -> None:
    arguments, _ = inputs((1, 4, 30, 30), torch.float32, torch.Generator().manual_seed(0), out=4)
    addresses = {t.untyped_storage().data_ptr() for t in arguments}
    assert set(kept(pointwise_gate, arguments)) == addresses
    assert not set(kept(reference.pointwise_gate, arguments)) <= addresses


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_autocast_rounds_what_a_convolution_would(device: str, dtype: torch.dtype) -> None:
    arguments, _ = inputs((2, 8, 9, 9), torch.float32, torch.Generator().manual_seed(0))
    arguments = tuple((t * 1.37).to(device, dtype) for t in arguments)
    s, weight, bias, x = arguments
    incoming = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(device, dtype)
    with torch.autocast(device, dtype=torch.bfloat16):
        found = differentiated(pointwise_gate, arguments, incoming)
    rounded = [t.bfloat16().double() for t in (s, weight, bias)]
    expected = differentiated(reference.pointwise_gate, (*rounded, x.double()), incoming.double())
    assert [t.dtype for t in found] == [dtype] * 5
    for actual, value in zip(found, expected, strict=True):
        error = (actual.double() - value).abs().max() / value.abs().max()
        assert error < 2e-2


def test_float64_stays_under_autocast() -> None:
    arguments, _ = inputs((1, 3, 4, 4), torch.float64, torch.Generator().manual_seed(0))
    arguments = tuple(t / 3 for t in arguments)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = pointwise_gate(*arguments)
    torch.testing.assert_close(found, reference.pointwise_gate(*arguments))


def test_parameters_and_the_gated_map_may_have_other_dtypes() -> None:
    arguments, _ = inputs((1, 3, 6, 6), torch.float32, torch.Generator().manual_seed(0))
    s, weight, bias, x = arguments
    incoming = torch.ones_like(x).bfloat16()
    found = differentiated(pointwise_gate, (s.half(), weight, bias, x.bfloat16()), incoming)
    assert [t.dtype for t in found] == [torch.bfloat16, torch.float16, torch.float32, torch.float32, torch.bfloat16]
    for actual, value in zip(found, differentiated(reference.pointwise_gate, arguments, incoming.float()), strict=True):
        torch.testing.assert_close(actual.float(), value, rtol=2e-2, atol=2e-2 * float(value.abs().max()))
