"""Multi-scale convolutional attention is the sum of its convolutions, gated."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from dislayers import MultiScaleConvAttention, multiscale_depthwise
from dislayers.multiscale_conv_attention import native, reference
from tests.harness import DEVICES, Op, check_op

SIZES = (5, 7, 11, 21)
Parameters = tuple[Any, ...]

native_only = pytest.mark.skipif(native.extension is None, reason="the extension is not there")


def parameters(
    channels: int, sizes: Sequence[int] = SIZES, dtype: torch.dtype = torch.float32, seed: int = 0
) -> Parameters:
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return (torch.rand(shape, generator=generator) - 0.5).to(dtype) / 2

    square, *strips = sizes
    biases = [noise(channels) for _ in range(2 * len(strips) + 1)]
    rows = [noise(channels, 1, 1, size) for size in strips]
    columns = [noise(channels, 1, size, 1) for size in strips]
    return noise(channels, 1, square, square), biases[0], rows, biases[1::2], columns, biases[2::2]


def inputs(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (torch.randn(shape, generator=generator).to(dtype), *parameters(shape[1], (5, 7, 1), dtype)), {}


def without(index: int, value: object) -> Callable[[], Tensor]:
    """A call with one wrong argument."""
    arguments = [torch.ones(1, 2, 4, 4), *parameters(2, (3, 5))]
    arguments[index] = value
    return lambda: multiscale_depthwise(*arguments)


test_multiscale_depthwise = check_op(
    Op(
        function=multiscale_depthwise,
        reference=reference.multiscale_depthwise,
        overload=torch.ops.dislayers.multiscale_depthwise.default,
        make_inputs=inputs,
        tolerances={torch.float32: (1e-5, 1e-4)},
        differentiable=range(7),
        errors=[
            (without(0, torch.ones(1, 2, 4, 4).int()), TypeError, r"x must be a floating tensor, got int32"),
            (without(0, torch.ones(2, 4, 4)), ValueError, r"x must have the shape \(B, C, H, W\).*got \(2, 4, 4\)"),
            (without(0, torch.ones(1, 0, 4, 4)), ValueError, r"x must have the shape .* with channels"),
            (without(1, torch.ones(2, 1, 4, 4)), ValueError, r"weight must have .* an odd size, got \(2, 1, 4, 4\)"),
            (without(1, torch.ones(2, 1, 3, 5)), ValueError, r"weight must have the shape \(2, 1, 5, 5\)"),
            (without(2, torch.ones(3)), ValueError, r"bias must have the shape \(2,\), got float32 \(3,\)"),
            (
                without(2, torch.ones(2, device="meta")),
                ValueError,
                r"bias must be on the device of x, cpu, got",
            ),
            (without(3, torch.ones(2, 1, 1, 5)), TypeError, r"rows must be a list or tuple of tensors, got Tensor"),
            (without(3, [torch.ones(2, 1, 1, 4)]), ValueError, r"rows\[0\] must have .* an odd size"),
            (without(3, [torch.ones(2, 1, 1, 3)]), ValueError, r"columns\[0\] must have the shape \(2, 1, 3, 1\)"),
            (without(4, []), ValueError, r"row_biases must be as many as rows: expected 1, got 0"),
            (without(6, [None]), TypeError, r"column_biases\[0\] must be a floating tensor, got NoneType"),
        ],
    )
)


def convolved(image: np.ndarray[Any, Any], kernel: Tensor, bias: Tensor) -> np.ndarray[Any, Any]:
    """One channel, pixel by pixel."""
    weights, (height, width) = kernel[0].double().numpy(), image.shape
    reach = weights.shape[0] // 2, weights.shape[1] // 2
    padded = np.pad(image, [(reach[0],) * 2, (reach[1],) * 2])
    result = np.full(image.shape, bias.item())
    for y in range(height):
        for x in range(width):
            result[y, x] += (padded[y : y + weights.shape[0], x : x + weights.shape[1]] * weights).sum()
    return result


@pytest.mark.parametrize("shape", [(1, 2, 7, 9), (2, 1, 30, 5)])
def test_is_the_sum_of_its_convolutions(shape: tuple[int, ...]) -> None:
    x, arguments = torch.randn(shape, generator=torch.Generator().manual_seed(0)), parameters(shape[1])
    weight, bias, rows, row_biases, columns, column_biases = arguments
    found = multiscale_depthwise(x, *arguments).numpy()
    for b in range(shape[0]):
        for c in range(shape[1]):
            a = convolved(x[b, c].double().numpy(), weight[c], bias[c])
            expected = a.copy()
            for row, row_bias, column, column_bias in zip(rows, row_biases, columns, column_biases, strict=True):
                expected += convolved(convolved(a, row[c], row_bias[c]), column[c], column_bias[c])
            np.testing.assert_allclose(found[b, c], expected, rtol=1e-5, atol=1e-5)


def gradients(function: Callable[..., Tensor], x: Tensor, arguments: Parameters, incoming: Tensor) -> list[Tensor]:
    leaves = tree_map(lambda t: t.detach().requires_grad_(), (x, *arguments))
    return list(torch.autograd.grad(function(*leaves), tree_leaves(leaves), incoming))


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_any_sizes_and_layouts_have_the_gradients_of_the_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    batch, channels = int(random.integers(1, 3)), int(random.choice([1, 3, 8, 16, 20, 32]))
    height, width = (int(random.choice([1, 2, 9, 16, 17, 33, 40])) for _ in range(2))
    sizes = [int(size) for size in random.choice([1, 3, 5, 7, 11, 21, 31], random.integers(1, 5))]
    x = torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(seed))
    incoming = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed + 1))
    if random.integers(2):
        x = x.contiguous(memory_format=torch.channels_last)
    if random.integers(2):
        incoming = incoming.contiguous(memory_format=torch.channels_last)
    arguments = parameters(channels, sizes, seed=seed)
    exact = tree_map(torch.Tensor.double, arguments)
    expected = reference.multiscale_depthwise(x.double(), *exact)
    found = multiscale_depthwise(x, *arguments)
    assert found.stride() == x.stride()
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    right = gradients(reference.multiscale_depthwise, x.double(), exact, incoming.double())
    for actual, value in zip(gradients(multiscale_depthwise, x, arguments, incoming), right, strict=True):
        torch.testing.assert_close(actual.double(), value, rtol=1e-5, atol=1e-5 * float(value.abs().max() + 1))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(2, 3, 70, 131), (1, 5, 9, 64), (2, 1, 130, 1)])
def test_published_sizes_on_every_device(
    shape: tuple[int, ...], layout: torch.memory_format, dtype: torch.dtype, device: str
) -> None:
    """For which GPUs have kernels, a tile of 64 x 64 a block."""
    generator = torch.Generator().manual_seed(0)
    x, incoming = (torch.randn(shape, generator=generator).to(dtype).contiguous(memory_format=layout) for _ in range(2))
    arguments, rounding = parameters(shape[1]), {torch.float32: 0, torch.bfloat16: 2**-8, torch.float16: 2**-11}[dtype]
    there = tree_map(lambda t: t.to(device), (x, arguments, incoming))
    found = [multiscale_depthwise(there[0], *there[1]), *gradients(multiscale_depthwise, *there)]
    exact = tree_map(torch.Tensor.double, (x, arguments, incoming))
    right = [reference.multiscale_depthwise(exact[0], *exact[1]), *gradients(reference.multiscale_depthwise, *exact)]
    assert found[0].stride() == x.stride()
    for actual, value in zip(found, right, strict=True):
        assert actual.device.type == device
        size = float(value.abs().max() + 1)
        torch.testing.assert_close(actual.cpu().double(), value, rtol=rounding + 1e-5, atol=1e-5 * size)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_no_number_reaches_further_than_the_kernels(layout: torch.memory_format, value: float) -> None:
    """Neither do infinite ones, or what lies around the image."""
    x = torch.zeros(1, 17, 45, 50).contiguous(memory_format=layout)
    x[0, 3, 20, 24] = value
    found = multiscale_depthwise(x, *parameters(17))
    touched = torch.zeros_like(x, dtype=torch.bool)
    reach = SIZES[0] // 2 + SIZES[-1] // 2
    touched[0, 3, 20 - reach : 21 + reach, 24 - reach : 25 + reach] = True
    assert torch.equal(~found.isfinite(), touched)


def kept(function: Callable[..., Tensor], x: Tensor, arguments: Parameters) -> dict[int, int]:
    """The addresses and bytes of what one call keeps for its backward."""
    storages = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    leaves = tree_map(lambda t: t.requires_grad_(), (x, *arguments))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function(*leaves)
    return storages


def plain(x: Tensor, *arguments: Any) -> Tensor:
    """The convolutions one after the other, as published."""
    weight, bias, *strips = arguments
    channels = x.shape[1]
    a = F.conv2d(x, weight, bias, padding="same", groups=channels)
    result = a
    for row, row_bias, column, column_bias in zip(*strips, strict=True):
        between = F.conv2d(a, row, row_bias, padding="same", groups=channels)
        result = result + F.conv2d(between, column, column_bias, padding="same", groups=channels)
    return result


def test_backward_keeps_nothing_but_the_arguments() -> None:
    x, arguments = torch.randn(1, 4, 70, 70), parameters(4)
    ours = kept(multiscale_depthwise, x, arguments)
    assert set(ours) <= {t.untyped_storage().data_ptr() for t in tree_leaves((x, *arguments))}
    assert sum(ours.values()) <= sum(kept(plain, x, arguments).values()) / 4


def test_module_keeps_its_image_and_what_it_gates_it_with() -> None:
    module, x = MultiScaleConvAttention(4), torch.randn(1, 4, 70, 70)
    maps = [size for size in kept(module, x, ()).values() if size >= x.nbytes]
    assert maps == [x.nbytes] * 2


def test_half_precision_is_rounded_once() -> None:
    x = torch.randn(1, 16, 20, 20, generator=torch.Generator().manual_seed(0)).bfloat16()
    arguments = tree_map(torch.Tensor.bfloat16, parameters(16))
    exact = reference.multiscale_depthwise(x.double(), *tree_map(torch.Tensor.double, arguments))
    found = multiscale_depthwise(x, *arguments)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), exact, rtol=2**-8, atol=1e-5)


def test_parameters_may_be_more_precise_than_the_image() -> None:
    x, arguments = torch.randn(1, 4, 9, 9).half(), parameters(4)
    assert multiscale_depthwise(x, *arguments).dtype == torch.float16
    found = gradients(multiscale_depthwise, x, arguments, torch.ones_like(x))
    assert [g.dtype for g in found] == [torch.float16] + [torch.float32] * (len(found) - 1)


@native_only
def test_threads_change_no_bit() -> None:
    x, arguments = torch.randn(2, 20, 40, 140), parameters(20)
    incoming, threads = torch.randn(x.shape), torch.get_num_threads()
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found = gradients(multiscale_depthwise, x, arguments, incoming)
            results.append([multiscale_depthwise(x, *arguments), *found])
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("sizes", [(3,) * 20, (5, 131), (129, 3)])
def test_more_and_longer_kernels_than_the_compiled_one_takes(sizes: Sequence[int]) -> None:
    x, arguments = torch.randn(1, 2, 9, 9), parameters(2, sizes)
    expected = plain(x, *arguments)
    torch.testing.assert_close(multiscale_depthwise(x, *arguments), expected, rtol=1e-5, atol=1e-5)


def test_module_is_the_gate_of_its_function() -> None:
    torch.manual_seed(0)
    module, x = MultiScaleConvAttention(6), torch.randn(2, 6, 30, 31)
    strips = [[conv.get_parameter(name) for conv in convs] for convs in (module.rows, module.columns)
              for name in ("weight", "bias")]  # fmt: skip
    surroundings = plain(x, module.depthwise.weight, module.depthwise.bias, *strips)
    expected = F.conv2d(surroundings, module.pointwise.weight, module.pointwise.bias) * x
    torch.testing.assert_close(module(x), expected, rtol=1e-5, atol=1e-5)


def test_module_has_the_published_parameters() -> None:
    """conv0, conv0_1 ... conv2_2 and conv3 of the official code, in this order."""
    shapes = {name: tuple(p.shape) for name, p in MultiScaleConvAttention(8).named_parameters() if "weight" in name}
    assert shapes == {
        "depthwise.weight": (8, 1, 5, 5),
        **{f"rows.{i}.weight": (8, 1, 1, size) for i, size in enumerate(SIZES[1:])},
        **{f"columns.{i}.weight": (8, 1, size, 1) for i, size in enumerate(SIZES[1:])},
        "pointwise.weight": (8, 8, 1, 1),
    }


def test_module_is_one_graph() -> None:
    module, x = MultiScaleConvAttention(3), torch.randn(2, 3, 10, 11)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), module(x))


def test_module_learns_under_autocast() -> None:
    module, x = MultiScaleConvAttention(4, (3, 5)), torch.randn(1, 4, 8, 8, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        module(x).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in (x, *module.parameters()))


@pytest.mark.parametrize("sizes", [(), (4,), (5, 6), (5, -1)])
def test_module_takes_odd_kernel_sizes(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="kernel_sizes must be odd numbers, at least one, got"):
        MultiScaleConvAttention(4, sizes)
