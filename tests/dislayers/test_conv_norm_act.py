"""Batch normalisation, ReLU and pooling in two passes: every proof of an op, PyTorch's modules, what backward keeps."""

import math
import os
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dislayers import ConvNormAct, batch_norm_relu
from dislayers.conv_norm_act import normalize_relu, reference
from tests.harness import DEVICES, Op, check_op

EPS = 1e-3
LAYOUTS = (torch.contiguous_format, torch.channels_last)


def make_inputs(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Few values far apart, and far from their mean: what is equal, or larger, is so in any precision."""
    x = torch.randint(-2, 2, shape, generator=generator) + 0.5
    residual = 8.0 * torch.randint(0, 2, shape, generator=generator)
    weight = torch.empty(shape[1]).uniform_(0.75, 1.25, generator=generator)
    bias = torch.empty(shape[1]).uniform_(-0.05, 0.05, generator=generator)
    return tuple(tensor.to(dtype) for tensor in (x, weight, bias, residual)), {}


def whole(*arguments: Tensor) -> tuple[Tensor | None, ...]:
    return batch_norm_relu(*arguments, eps=EPS, pool=True)


def without_ties(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> tuple[Tensor | None, ...]:
    return whole(x, weight, bias, residual + torch.linspace(0, 1, x.numel()).to(x).view(x.shape))


def map_alone(*arguments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    out, _, mean, variance = batch_norm_relu(*arguments, eps=EPS)
    return out, mean, variance


def map_alone_by_definition(*arguments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    out, _, mean, variance = reference.batch_norm_relu(*arguments, None, EPS, False)
    return out, mean, variance


SHAPES = [(3, 2, 5, 7), (2, 3, 6, 5), (1, 1, 1, 5), (1, 2, 5, 1), (4, 2, 1, 1)]
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
# Triton's interpreter takes its time, and cuts digits of bfloat16 off.
INTERPRETED = "TRITON_INTERPRET" in os.environ
ONE = torch.ones(1, 2, 3, 4)
VECTOR = torch.ones(2)

test_with_pooling_and_residual = check_op(
    Op(
        function=whole,
        reference=lambda *arguments: reference.batch_norm_relu(*arguments, EPS, True),
        make_inputs=make_inputs,
        overload=torch.ops.dislayers.batch_norm_relu.default,
        overload_arguments=lambda *arguments: ((*arguments, EPS, True), {}),
        shapes=SHAPES[: 1 if INTERPRETED else None],
        dtypes=DTYPES[: 1 if INTERPRETED else None],
        tolerances={torch.float32: (1e-5, 1e-4), torch.bfloat16: (2e-2, 5e-2), torch.float16: (2e-3, 1e-2)},
        differentiable=[0, 1, 2, 3],
        gradcheck=without_ties,
        errors=[
            (lambda: batch_norm_relu(ONE.long(), VECTOR, VECTOR), TypeError, "x must be a floating tensor"),
            (lambda: batch_norm_relu(ONE[0], VECTOR, VECTOR), ValueError, r"x must have the shape .*got \(2, 3, 4\)"),
            (lambda: batch_norm_relu(ONE[:, :0], VECTOR[:0], VECTOR[:0]), ValueError, "with channels"),
            (lambda: batch_norm_relu(ONE[..., :1, :1], VECTOR, VECTOR), ValueError, "x must have more than one value"),
            (lambda: batch_norm_relu(ONE[:0], VECTOR, VECTOR), ValueError, r"x must have more .*\(0, 2, 3, 4\)"),
            (lambda: batch_norm_relu(ONE, VECTOR[:1], VECTOR), ValueError, r"weight must have the shape \(2,\)"),
            (lambda: batch_norm_relu(ONE, VECTOR.int(), VECTOR), TypeError, "weight must be a floating tensor"),
            (lambda: batch_norm_relu(ONE, VECTOR, VECTOR.to("meta")), ValueError, "bias must be on the device of x"),
            (lambda: batch_norm_relu(ONE, VECTOR, VECTOR, ONE[..., 1:]), ValueError, "residual must have the shape"),
            (lambda: batch_norm_relu(ONE, VECTOR, VECTOR, ONE.int()), TypeError, "residual must be a floating"),
            (lambda: batch_norm_relu(ONE, VECTOR, VECTOR, eps=-1), ValueError, r"eps must be in \[0, inf\], got -1"),
            (lambda: normalize_relu(ONE, VECTOR[:1], VECTOR, VECTOR, VECTOR), ValueError, "mean must have the shape"),
        ],
    )
)
test_of_the_map_alone = check_op(
    Op(
        function=map_alone,
        reference=map_alone_by_definition,
        make_inputs=lambda *arguments: (make_inputs(*arguments)[0][:3], {}),
        overload=torch.ops.dislayers.batch_norm_relu.default,
        overload_arguments=lambda *arguments: ((*arguments, None, EPS, False), {}),
        shapes=[(1, 1, 3, 5)] if INTERPRETED else SHAPES,
        dtypes=(torch.float32,),
        tolerances={torch.float32: (1e-5, 1e-4)},
        differentiable=[0, 1, 2],
    )
)


def published(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The map and the pooled one, by PyTorch."""
    out = F.relu(F.batch_norm(x, None, None, weight, bias, training=True, eps=EPS))
    out = out if residual is None else out + residual
    return out, F.max_pool2d(out, 2, stride=2, ceil_mode=True)


def leaves(
    shape: tuple[int, ...], layout: torch.memory_format, device: str, seed: int = 0, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    made, _ = make_inputs(shape, dtype, torch.Generator().manual_seed(seed))
    maps = [x.to(device).contiguous(memory_format=layout) if x.ndim == 4 else x.to(device) for x in made]
    return [x.requires_grad_() for x in maps]


def random_like(tensor: Tensor, seed: int = 1) -> Tensor:
    return torch.randn(tensor.shape, generator=torch.Generator().manual_seed(seed)).to(tensor)


# Beyond a span, a tile and a part of the kernels.
@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 2, 67, 261), torch.contiguous_format),
        ((1, 1, 130, 2), torch.contiguous_format),
        ((5, 2, 6, 7), torch.contiguous_format),
        ((1, 2, 67, 261), torch.channels_last),
        ((2, 70, 9, 11), torch.channels_last),
        ((5, 3, 6, 7), torch.channels_last),
    ],
)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("with_residual", [False, True])
def test_equals_pytorch(device: str, layout: torch.memory_format, shape: tuple[int, ...], with_residual: bool) -> None:
    given = leaves(shape, layout, device)[: 4 if with_residual else 3]
    exact = [x.detach().double().requires_grad_() for x in given]
    result, expected = batch_norm_relu(*given, eps=EPS, pool=True), published(*exact)
    assert result.pooled is not None
    assert result.pooled.stride() == F.max_pool2d(result.out, 2, ceil_mode=True).stride()
    for actual, right in zip(result[:2], expected, strict=True):
        torch.testing.assert_close(actual, right.float(), rtol=1e-5, atol=1e-5)
    incoming = [random_like(x) for x in result[:2]]
    chosen = ([0], [1], [0, 1])
    for ends in chosen:
        gradients = torch.autograd.grad(
            [result[i] for i in ends], given, [incoming[i] for i in ends], retain_graph=True
        )
        right = torch.autograd.grad(
            [expected[i] for i in ends], exact, [incoming[i].double() for i in ends], retain_graph=True
        )
        for actual, other in zip(gradients, right, strict=True):
            torch.testing.assert_close(actual, other.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("device", DEVICES)
def test_many_tiles_make_a_part(device: str, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    from dislayers._runtime.launch import Blocks
    from dislayers.conv_norm_act import kernel

    blocks = {"default": [(1 << 62, Blocks(256, 4))]}
    monkeypatch.setattr(kernel, "BLOCKS", blocks)
    monkeypatch.setattr(kernel, "_PARTS", 2)
    test_equals_pytorch(device, layout, (2, 2, 19, 13), True)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_second_pass_gives_the_same_bits(device: str, layout: torch.memory_format, dtype: torch.dtype) -> None:
    x, weight, bias, residual = leaves((2, 5, 9, 14), layout, device, dtype=dtype)
    x = random_like(x).contiguous(memory_format=layout)
    for added in (None, residual):
        out, pooled, mean, variance = batch_norm_relu(x, weight, bias, added, EPS, pool=True)
        vectors = mean, variance, weight, bias
        with torch.no_grad():
            again = [normalize_relu(x, *vectors, added, EPS, pool) for pool in (False, True)]
        assert torch.equal(out, again[0])
        assert torch.equal(pooled, again[1])
        assert again[1].stride() == pooled.stride()
        assert normalize_relu(x[:0], *(v.detach() for v in vectors)).shape == (0, 5, 9, 14)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_windows_of_equal_values_have_their_gradient_at_the_first(device: str, layout: torch.memory_format) -> None:
    """Most values are 0 after the ReLU, and without a slope nothing else says where the gradient went."""
    x, weight, bias, residual = leaves((2, 3, 7, 8), layout, device)
    with torch.no_grad():
        bias -= 1.5
        residual.zero_()
    out, pooled, _, _ = batch_norm_relu(x, weight, bias, residual, EPS, pool=True)
    (actual,) = torch.autograd.grad(pooled, residual, random_like(pooled))
    map_ = out.detach().requires_grad_()
    (expected,) = torch.autograd.grad(F.max_pool2d(map_, 2, ceil_mode=True), map_, random_like(pooled))
    assert (out == 0).float().mean() > 0.7
    assert torch.equal(actual, expected)


@pytest.mark.parametrize(("dtype", "large"), [(torch.float16, 1024), (torch.bfloat16, 64)])
@pytest.mark.parametrize("device", DEVICES)
def test_values_that_rounding_makes_equal_are_a_tie(device: str, dtype: torch.dtype, large: int) -> None:
    if dtype == torch.bfloat16 and device == "cpu" and INTERPRETED:
        pytest.skip("Triton's interpreter does not round")
    x = torch.tensor([[1.0, 1.0078125], [-1.0, -1.0]], dtype=dtype, device=device).view(1, 1, 2, 2)
    residual = torch.full_like(x, large, requires_grad=True)
    weight, bias = torch.ones(1, device=device), torch.zeros(1, device=device)
    _, pooled, _, _ = batch_norm_relu(x, weight, bias, residual, pool=True)
    pooled.backward(torch.ones_like(pooled))
    assert residual.grad.flatten().tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("device", DEVICES)
def test_a_derivative_of_zero_at_zero(device: str) -> None:
    x = torch.zeros(1, 1, 2, 2, device=device, requires_grad=True)
    bias = torch.zeros(1, device=device, requires_grad=True)
    batch_norm_relu(x, torch.ones(1, device=device), bias).out.sum().backward()
    assert bias.grad.item() == 0


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("device", DEVICES)
def test_what_is_no_number_stays_in_its_channel(device: str, layout: torch.memory_format) -> None:
    given = leaves((2, 3, 5, 6), layout, device)
    clean = batch_norm_relu(*given, eps=EPS, pool=True)
    with torch.no_grad():
        given[0][1, 1, 2, 3] = math.nan
    result = batch_norm_relu(*given, eps=EPS, pool=True)
    for one, other in zip(result[:2], clean[:2], strict=True):
        assert one[:, 1].isnan().all()
        assert torch.equal(one[:, ::2], other[:, ::2])
    gradients = torch.autograd.grad([x.sum() for x in result[:2]], given)
    assert gradients[0][:, 1].isnan().all()
    assert all(gradient.isfinite().all() for gradient in (gradients[0][:, ::2], gradients[1][::2], gradients[2][::2]))


@pytest.mark.parametrize("device", DEVICES)
def test_the_last_nan_of_a_window_has_its_gradient(device: str) -> None:
    """As PyTorch has it, where a residual brings NaN."""
    x, weight, bias, residual = leaves((1, 1, 3, 4), torch.contiguous_format, device)
    with torch.no_grad():
        residual[0, 0, 0, :2] = residual[0, 0, 1, 3] = math.nan
    _, pooled, _, _ = batch_norm_relu(x, weight, bias, residual, EPS, pool=True)
    (actual,) = torch.autograd.grad(pooled, residual, torch.ones_like(pooled))
    (expected,) = torch.autograd.grad(published(x, weight, bias, residual)[1], residual, torch.ones_like(pooled))
    assert pooled[0, 0, 0].isnan().all()
    assert torch.equal(actual, expected)


@settings(max_examples=4 if INTERPRETED else 15, deadline=None)
@given(
    offset=st.sampled_from([0.0, 1e3, -1e4]),
    spread=st.sampled_from([1.0, 10.0]),
    outlier=st.booleans(),
    seed=st.integers(0, 100),
)
@example(offset=-1e4, spread=1.0, outlier=False, seed=0)
def test_statistics_far_from_zero(offset: float, spread: float, outlier: bool, seed: int) -> None:
    x = offset + spread * torch.randn(2, 2, 33, 40, generator=torch.Generator().manual_seed(seed))
    if outlier:
        x[0, :, 0, 0] += 1e4
    for layout in LAYOUTS:
        _, _, mean, variance = batch_norm_relu(x.contiguous(memory_format=layout), torch.ones(2), torch.zeros(2))
        right = torch.var_mean(x.double(), (0, 2, 3), correction=0)
        torch.testing.assert_close(mean.double(), right[1], rtol=1e-6, atol=1e-6 * spread)
        torch.testing.assert_close(variance.double(), right[0], rtol=1e-5, atol=0)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("device", DEVICES)
def test_gradients_that_are_slices_of_channels(device: str, layout: torch.memory_format) -> None:
    given = leaves((2, 3, 7, 6), layout, device)
    result = batch_norm_relu(*given, eps=EPS, pool=True)
    for x, ends in ((result.out, 0), (result.pooled, 1)):
        around = random_like(torch.empty(2, 8, *x.shape[2:], device=device)).contiguous(memory_format=layout)
        cut = around[:, 2:5]
        actual = torch.autograd.grad(result[ends], given, cut, retain_graph=True)
        expected = torch.autograd.grad(result[ends], given, cut.contiguous(), retain_graph=True)
        for one, other in zip(actual, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("pool", "with_residual"), [(False, False), (False, True), (True, False), (True, True)])
def test_backward_keeps_x_and_vectors(pool: bool, with_residual: bool) -> None:
    x, weight, bias, residual = leaves((2, 3, 8, 8), torch.contiguous_format, "cpu")
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = batch_norm_relu(x, weight, bias, residual if with_residual else None, EPS, pool)
    expected = [x, weight, bias, result.mean, result.variance, *([residual] if pool and with_residual else [])]
    assert [tensor.data_ptr() for tensor in kept] == [tensor.data_ptr() for tensor in expected]


def test_what_has_no_gradient() -> None:
    x, weight, bias, residual = leaves((2, 3, 4, 5), torch.contiguous_format, "cpu")
    result = batch_norm_relu(x, weight, bias, residual, EPS)
    assert result.pooled is None
    assert {result.mean.requires_grad, result.variance.requires_grad} == {False}
    (gradient,) = torch.autograd.grad(result.out, residual, torch.ones_like(residual))
    assert torch.equal(gradient, torch.ones_like(residual))
    with pytest.raises(NotImplementedError):
        normalize_relu(x, result.mean, result.variance, weight, bias).sum().backward()


def test_dtypes_may_differ() -> None:
    x, weight, bias, residual = leaves((2, 3, 4, 5), torch.contiguous_format, "cpu", dtype=torch.bfloat16)
    weight, residual = weight.detach().float().requires_grad_(), residual.detach().float().requires_grad_()
    result = batch_norm_relu(x, weight, bias, residual, EPS, pool=True)
    assert [tensor.dtype for tensor in result] == 2 * [torch.bfloat16] + 2 * [torch.float32]
    gradients = torch.autograd.grad(result.pooled.sum(), (x, weight, bias, residual))
    assert [g.dtype for g in gradients] == [torch.bfloat16, torch.float32, torch.bfloat16, torch.float32]


class PlainUnit(ConvNormAct):
    """Every module on its own."""

    def _is_fused(self, x: Tensor) -> bool:
        return False


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A mark for every call of the op by a unit, which takes it for one that has a kernel."""
    calls: list[str] = []

    def counting(*arguments: Any) -> Any:
        calls.append("op")
        return batch_norm_relu(*arguments)

    monkeypatch.setattr("dislayers.conv_norm_act.module.batch_norm_relu", counting)
    monkeypatch.setattr("dislayers.conv_norm_act.module.has_kernel", lambda op, device: True)
    return calls


@pytest.mark.parametrize("momentum", [0.1, 0.7, 1, None])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_unit_equals_its_modules(momentum: float | None, layout: torch.memory_format, counted: list[str]) -> None:
    unit = ConvNormAct(3, 4)
    unit.norm.momentum = momentum
    nn.init.uniform_(unit.norm.weight)
    nn.init.normal_(unit.norm.bias)
    plain = PlainUnit(3, 4)
    plain.norm.momentum = momentum
    plain.load_state_dict(unit.state_dict())
    for step in range(2):
        x = torch.randn(2, 3, 9, 7, generator=torch.Generator().manual_seed(step)).contiguous(memory_format=layout)
        results = []
        for module in (unit, plain):
            module.zero_grad()
            out, pooled = module.forward_pooled(module(x)[:, :3])
            both = module(x, residual=out)
            (both.square().sum() + pooled.sum()).backward()
            results.append([out, pooled, both, *(p.grad for p in module.parameters())])
        for actual, expected in zip(*results, strict=True):
            # That of the convolution's bias is 0 but for rounding.
            torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-3)
        for name, buffer in plain.state_dict().items():
            torch.testing.assert_close(unit.state_dict()[name], buffer)
    assert len(counted) == unit.norm.num_batches_tracked.item() == 6


def test_gradients_after_a_map_was_changed_in_place(counted: list[str]) -> None:
    first, second, x = ConvNormAct(2, 3), ConvNormAct(3, 3), torch.randn(2, 2, 5, 6)
    gradients = []
    for add in (Tensor.add, Tensor.add_):
        out = second(add(first(x), 1))
        gradients.append(torch.autograd.grad(out.square().sum(), [*first.parameters(), *second.parameters()]))
    assert len(counted) == 4
    for actual, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("change", [lambda unit, added: unit.norm.weight, lambda unit, added: added])
def test_what_a_map_is_made_of_must_not_change_before_backward(
    change: Callable[[ConvNormAct, Tensor], Tensor], counted: list[str]
) -> None:
    first, second, added = ConvNormAct(2, 3), ConvNormAct(3, 3), torch.randn(2, 3, 5, 6)
    out = second(first(torch.randn(2, 2, 5, 6), added))
    with torch.no_grad():
        change(first, added).add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        torch.autograd.grad(out.square().sum(), second.conv.weight)


def changed(change: Callable[[ConvNormAct], Any]) -> ConvNormAct:
    unit = ConvNormAct(2, 3)
    change(unit)
    return unit


@pytest.mark.parametrize(
    "change",
    [
        lambda unit: unit.eval(),
        lambda unit: unit.norm.eval(),
        lambda unit: setattr(unit, "norm", nn.InstanceNorm2d(3)),
        lambda unit: setattr(unit, "norm", nn.GroupNorm(1, 3)),
        lambda unit: setattr(unit, "norm", nn.BatchNorm2d(3, affine=False)),
        lambda unit: setattr(unit, "norm", nn.BatchNorm2d(3, track_running_stats=False)),
        lambda unit: setattr(unit, "norm", type("Mine", (nn.BatchNorm2d,), {})(3)),
        lambda unit: setattr(unit, "norm", nn.SyncBatchNorm.convert_sync_batchnorm(unit.norm).eval()),
        lambda unit: setattr(unit, "act", nn.LeakyReLU(0.1)),
    ],
)
def test_other_units_call_their_modules(change: Callable[[ConvNormAct], Any], counted: list[str]) -> None:
    unit, x = changed(change), torch.randn(2, 2, 5, 6)
    other = deepcopy(unit)
    expected = other.act(other.norm(other.conv(x)))
    torch.testing.assert_close(unit(x, expected), 2 * expected)
    unit = deepcopy(other)
    out, pooled = unit.forward_pooled(x)
    assert pooled.shape == (2, 3, 3, 3)
    torch.testing.assert_close(pooled, F.max_pool2d(out, 2, ceil_mode=True))
    assert not counted


def test_unit_under_autocast_keeps_its_statistics_in_float32() -> None:
    unit, x = ConvNormAct(3, 4), torch.randn(2, 3, 9, 7)
    with torch.autocast("cpu", torch.bfloat16):
        out, pooled = unit.forward_pooled(x)
        both = unit(x, out)
    assert out.dtype == pooled.dtype == both.dtype == torch.bfloat16
    assert unit.norm.running_var.dtype == torch.float32
    both.float().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in unit.parameters())


def test_unit_compiles_whole() -> None:
    torch.compiler.reset()
    unit, x = ConvNormAct(2, 3), torch.randn(2, 2, 6, 8)
    other = deepcopy(unit)
    compiled = torch.compile(unit.forward_pooled, fullgraph=True, backend="aot_eager")
    for actual, expected in zip(compiled(x), other.forward_pooled(x), strict=True):
        torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(unit.state_dict(), other.state_dict())


def test_keys_are_those_of_checkpoints() -> None:
    parts = {"conv": ("weight", "bias"), "norm": ("weight", "bias", "running_mean", "running_var")}
    keys = {f"{part}.{name}" for part, names in parts.items() for name in names} | {"norm.num_batches_tracked"}
    assert ConvNormAct(2, 3).state_dict().keys() == keys
