"""Upsampling beside a skip connection: every proof of an op, PyTorch's resizing, its adjoint, and what is kept."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dislayers import upsample_concat
from dislayers._runtime.launch import triton_missing
from dislayers.upsample_concat import native, reference
from tests.harness import DEVICES, Op, check_op

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}

# There bfloat16 is cut, not rounded, and every pixel is slow.
INTERPRETED = not triton_missing("cpu")

native_only = pytest.mark.skipif(native.extension is None, reason="the extension is not there")


def make_inputs(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A skip connection of some shape, and a map of half its size, rounded up, with two channels more."""
    batch, channels, height, width = shape
    low = batch, channels + 2, -(-height // 2), -(-width // 2)
    return tuple(torch.randn(size, generator=generator).to(dtype) for size in (low, shape)), {}


test_upsample_concat = check_op(
    Op(
        function=upsample_concat,
        reference=reference.upsample_concat,
        overload=torch.ops.dislayers.upsample_concat.default,
        make_inputs=make_inputs,
        dtypes=(torch.float32,) if INTERPRETED else (torch.float32, torch.bfloat16),
        shapes=[(2, 3, 13, 17), (3, 2, 6, 4), (0, 3, 8, 8)],
        tolerances={torch.float32: (1e-5, 5e-5), torch.bfloat16: (8e-3, 2e-2)},
        differentiable=[0, 1],
        second_derivative="right",
        like_first=False,
        errors=[
            (
                lambda: upsample_concat(torch.ones(1, 2, 3, 3).int(), torch.ones(1, 2, 6, 6)),
                TypeError,
                "x must be a fl",
            ),
            (lambda: upsample_concat(torch.ones(1, 2, 3, 3), None), TypeError, "skip must be a floating tensor, got N"),
            (
                lambda: upsample_concat(torch.ones(2, 3, 3), torch.ones(1, 2, 6, 6)),
                ValueError,
                r"x must have the shape \(B, C, H, W\).*got \(2, 3, 3\)",
            ),
            (
                lambda: upsample_concat(torch.ones(1, 2, 3, 3), torch.ones(1, 2, 0, 6)),
                ValueError,
                r"skip must have the shape .*got \(1, 2, 0, 6\)",
            ),
            (
                lambda: upsample_concat(torch.ones(1, 2, 3, 3), torch.ones(2, 2, 6, 6)),
                ValueError,
                "skip must have the batch of x, 1, got 2",
            ),
            (
                lambda: upsample_concat(torch.ones(1, 2, 3, 3), torch.ones(1, 2, 6, 6, device="meta")),
                ValueError,
                "skip must be on the device of x, cpu, got .* on meta",
            ),
        ],
    )
)


def interpolated(x: Tensor, skip: Tensor) -> Tensor:
    """The published way."""
    larger = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
    return torch.cat((larger, skip), 1)


# Of no larger ratio: under the interpreter a pixel's sum over very many others is slow.
sides = st.sampled_from([7, 8, 9, 15, 16, 17, 33])


@given(
    sizes=st.tuples(sides, sides, sides, sides),
    channels=st.tuples(*[st.sampled_from([1, 3, 8, 16, 20, 33])] * 2),
    layouts=st.tuples(*[st.sampled_from(list(LAYOUTS))] * 3),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("device", DEVICES)
def test_any_sizes_are_pytorchs(
    device: str, sizes: tuple[int, ...], channels: tuple[int, int], layouts: tuple[str, ...], seed: int
) -> None:
    h, w, height, width = sizes
    shapes = (2, channels[0], h, w), (2, channels[1], height, width), (2, sum(channels), height, width)
    generator = torch.Generator().manual_seed(seed)
    x, skip, incoming = (
        torch.randn(shape, generator=generator).to(device).contiguous(memory_format=LAYOUTS[layout])
        for shape, layout in zip(shapes, layouts, strict=True)
    )
    leaves, exact = ([t.to(dtype).requires_grad_() for t in (x, skip)] for dtype in (x.dtype, torch.float64))
    found, expected = upsample_concat(*leaves), interpolated(*exact)
    assert torch.equal(found[:, channels[0] :], skip)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    of_x, of_skip = torch.autograd.grad(found, leaves, incoming)
    right, _ = torch.autograd.grad(expected, exact, incoming.double())
    assert torch.equal(of_skip, incoming[:, channels[0] :])
    torch.testing.assert_close(of_x.double(), right, rtol=1e-5, atol=1e-5 * float(right.abs().max() + 1))


@given(sizes=st.tuples(*[st.integers(9, 40)] * 4), layout=st.sampled_from(list(LAYOUTS)), seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_the_gradient_is_the_adjoint(sizes: tuple[int, ...], layout: str, seed: int) -> None:
    """<up(x), g> is <x, up^T(g)>."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, 4, *sizes[:2], generator=generator).contiguous(memory_format=LAYOUTS[layout])
    g = torch.randn(1, 7, *sizes[2:], generator=generator).contiguous(memory_format=LAYOUTS[layout])
    larger = torch.ops.dislayers.upsample_concat(x, g[:, 4:])[:, :4]
    smaller = torch.ops.dislayers.upsample_concat_backward(g, x.shape)
    one, other = ((a.double() * b.double()).sum() for a, b in ((larger, g[:, :4]), (x, smaller)))
    scale = (larger.double() * g[:, :4]).abs().sum()
    assert abs(one - other) <= 1e-6 * scale


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("function", [upsample_concat, torch.ops.dislayers.upsample_concat], ids=["function", "op"])
def test_equal_sizes_are_a_concatenation(function: Callable[..., Tensor], layout: str, dtype: torch.dtype) -> None:
    """Bit by bit, whatever the values."""
    x, skip = (torch.randn(2, c, 5, 6).to(dtype).contiguous(memory_format=LAYOUTS[layout]) for c in (3, 4))
    x[0, 1, 2, 3], skip[1, 2, 3, 4] = math.inf, math.nan
    expected = torch.cat((x, skip), 1)
    found = function(x, skip)
    assert found.stride() == expected.stride()
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("low", "full"), [((1, 1), (5, 6)), ((9, 7), (1, 1)), ((1, 8), (6, 3)), ((3, 17), (5, 33))])
def test_rows_and_columns_of_one_pixel(
    low: tuple[int, int], full: tuple[int, int], layout: str, dtype: torch.dtype
) -> None:
    x, skip = (torch.randn(1, 3, *size).to(dtype).contiguous(memory_format=LAYOUTS[layout]) for size in (low, full))
    leaves, exact = ([t.to(kind).requires_grad_() for t in (x, skip)] for kind in (dtype, torch.float64))
    found, expected = upsample_concat(*leaves), interpolated(*exact)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    incoming = torch.randn_like(found)
    right = torch.autograd.grad(expected, exact, incoming.double())
    for one, other in zip(torch.autograd.grad(found, leaves, incoming), right, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


def test_upsampled_comes_first() -> None:
    x, skip = torch.full((1, 2, 2, 2), 7.0), torch.zeros(1, 3, 5, 4)
    joined = upsample_concat(x, skip)
    assert joined.shape == (1, 5, 5, 4)
    torch.testing.assert_close(joined[:, :2], torch.full((1, 2, 5, 4), 7.0))
    assert (joined[:, 2:] == 0).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("of_x", LAYOUTS)
@pytest.mark.parametrize("size", [(4, 3), (5, 6)])
def test_layout_is_that_of_skip(size: tuple[int, int], of_x: str, layout: str) -> None:
    x = torch.randn(2, 3, *size).contiguous(memory_format=LAYOUTS[of_x])
    skip = torch.randn(2, 4, 5, 6).contiguous(memory_format=LAYOUTS[layout])
    assert upsample_concat(x, skip).is_contiguous(memory_format=LAYOUTS[layout])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_stay_where_they_have_a_share(value: float, layout: str) -> None:
    x = torch.zeros(1, 17, 9, 9).contiguous(memory_format=LAYOUTS[layout])
    x[0, 3, 4, 5] = value
    skip = torch.zeros(1, 2, 18, 18).contiguous(memory_format=LAYOUTS[layout])
    touched = torch.zeros(1, 19, 18, 18, dtype=torch.bool)
    touched[0, 3, 7:11, 9:13] = True
    assert torch.equal(~upsample_concat(x, skip).isfinite(), touched)


def test_dtypes_are_promoted() -> None:
    x, skip = torch.randn(1, 2, 3, 3).bfloat16().requires_grad_(), torch.randn(1, 2, 6, 6).requires_grad_()
    found = upsample_concat(x, skip)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, interpolated(x.float(), skip))
    assert [g.dtype for g in torch.autograd.grad(found.sum(), (x, skip))] == [torch.bfloat16, torch.float32]


def test_half_precision_is_rounded_once() -> None:
    x, skip = torch.randn(1, 16, 9, 9).half(), torch.randn(1, 5, 17, 18).half()
    found = upsample_concat(x, skip)
    torch.testing.assert_close(found.double(), interpolated(x.double(), skip.double()), rtol=2**-11, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (16, 16)])
def test_backward_keeps_nothing(size: tuple[int, int]) -> None:
    x, skip, kept = torch.randn(1, 3, *size, requires_grad=True), torch.randn(1, 2, 16, 16, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda tensor: tensor):
        upsample_concat(x, skip)
    assert not kept


def test_the_gradient_of_skip_is_no_copy() -> None:
    x, skip = torch.randn(1, 3, 4, 4, requires_grad=True), torch.randn(1, 2, 8, 8, requires_grad=True)
    incoming = torch.randn(1, 5, 8, 8)
    (found,) = torch.autograd.grad(upsample_concat(x, skip), skip, incoming)
    assert found.data_ptr() == incoming[:, 3:].data_ptr()


@native_only
@pytest.mark.parametrize("layout", LAYOUTS)
def test_threads_change_no_bit(layout: str) -> None:
    x = torch.randn(2, 20, 40, 35).contiguous(memory_format=LAYOUTS[layout])
    skip = torch.randn(2, 12, 80, 70).contiguous(memory_format=LAYOUTS[layout])
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            joined = native.forward(x, skip)
            results.append((joined, native.backward(joined, x.shape)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
