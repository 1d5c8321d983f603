"""A decoder level by patches: every proof of an op, its loops, locality, and what follows from patch to patch."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import interpolate

from dislayers import PatchLocalAttention, merge_patches, patch_local, split_patches
from dislayers._runtime.launch import triton_missing
from dislayers.patch_local import reference
from tests.harness import DEVICES, Op, check_op

# The interpreter of Triton takes 0.1 s a patch.
INTERPRETED = not triton_missing("cpu")
GRIDS = [(1, 1), (2, 2), (1, 4)] if INTERPRETED else [(1, 1), (2, 2), (1, 4), (4, 2)]
HIDDEN = 5


def tensors(shape: tuple[int, ...], skip: int, hidden: int, seed: int | torch.Generator = 0) -> list[Tensor]:
    """A level's g of a shape, x, both gates, weight and bias."""
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    batch, _, height, width = shape
    sizes = [
        shape,
        (batch, skip, 2 * height, 2 * width),
        *[(batch, hidden, height, width)] * 2,
        (1, hidden, 1, 1),
        (1,),
    ]
    return [torch.randn(size, generator=generator) for size in sizes]


def make_inputs(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    level = tensors(shape, shape[1] // 2 + 1, HIDDEN, generator)
    return tuple(x.to(dtype) for x in level), {"grid": (2, 1)}


def level(**changed: Any) -> Callable[[], Tensor]:
    """A call with some other arguments than fitting ones."""
    names = ("g", "x", "gate_g", "gate_x", "psi_weight", "psi_bias")
    return lambda: patch_local(
        **dict(zip(names, tensors((2, 4, 4, 6), 3, 2), strict=True)) | {"grid": (2, 2)} | changed
    )


test_patch_local = check_op(
    Op(
        function=patch_local,
        reference=reference.patch_local,
        make_inputs=make_inputs,
        overload=torch.ops.dislayers.patch_local.default,
        overload_arguments=lambda *tensors, grid: ((*tensors, list(grid)), {}),
        shapes=[(1, 10, 4, 7)] if INTERPRETED else [(3, 10, 4, 7), (2, 7, 6, 3), (1, 1, 2, 1), (0, 2, 4, 4)],
        dtypes=(torch.float32,) if INTERPRETED else (torch.float32, torch.bfloat16, torch.float16, torch.float64),
        tolerances={torch.float32: (1e-5, 1e-5)},
        differentiable=range(6),
        like_first=False,
        errors=[
            (level(g=torch.ones(2, 4, 4, 6, dtype=torch.int64)), TypeError, "g must be a floating tensor, got int64"),
            (level(psi_bias=1.0), TypeError, "psi_bias must be a floating tensor, got float 1.0"),
            (level(g=torch.ones(2, 4, 4, 6, device="meta")), ValueError, "g must be on the device of x, cpu"),
            (level(grid=2), TypeError, "grid must be a pair, rows and columns of patches, got 2"),
            (level(grid=(2, 2, 1)), TypeError, "grid must be a pair"),
            (level(grid=(2, 1.5)), TypeError, "grid must be an int"),
            (level(grid=(0, 1)), ValueError, "grid must have at least one row and one column"),
            (level(grid=(3, 2)), ValueError, r"H and W multiples of 6 and 4, got \(2, 3, 8, 12\)"),
            (level(x=torch.ones(2, 3, 8)), ValueError, r"x must have the shape \(B, C, H, W\)"),
            (level(x=torch.ones(2, 3, 8, 10)), ValueError, "multiples of 4 and 4"),
            (
                level(x=torch.ones(2, 3, 8, 16)),
                ValueError,
                r"\(2, 4, 8\) or \(8, 2, 4\) for batch, height and width, got \(2, 4, 4, 6\)",
            ),
            (level(g=torch.ones(4, 4, 4)), ValueError, "g must have half the size of x"),
            (level(gate_g=torch.ones(2, 3, 4, 6)), ValueError, r"gate_g must have the shape \(2, 2, 4, 6\)"),
            (level(gate_x=torch.ones(2, 2, 8, 12)), ValueError, r"gate_x must have the shape \(2, 2, 4, 6\)"),
            (level(psi_weight=torch.ones(2)), ValueError, r"psi_weight must have the shape \(1, 2, 1, 1\)"),
            (level(psi_bias=torch.ones(2)), ValueError, r"psi_bias must have the shape \(1,\)"),
        ],
    )
)


def loop(g: np.ndarray, x: np.ndarray, gate: np.ndarray, weight: np.ndarray, bias: float) -> np.ndarray:
    """One patch as the specification has it, number by number."""
    channels, height, width = g.shape
    result = np.empty((channels + len(x), 2 * height, 2 * width))
    attention = np.empty((height, width))
    for i, j in np.ndindex(height, width):
        score = bias + sum(weight[k] * max(gate[k, i, j], 0) for k in range(len(gate)))
        attention[i, j] = 1 / (1 + math.exp(-score))

    def sample(map_: np.ndarray, i: int, j: int) -> float:
        """At the centre of a pixel of the doubled map, edges held."""
        y, z = max((i + 0.5) / 2 - 0.5, 0), max((j + 0.5) / 2 - 0.5, 0)
        top, left = int(y), int(z)
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        upper = map_[top, left] * (left + 1 - z) + map_[top, right] * (z - left)
        lower = map_[bottom, left] * (left + 1 - z) + map_[bottom, right] * (z - left)
        return upper * (top + 1 - y) + lower * (y - top)

    for c, i, j in np.ndindex(*result.shape):
        result[c, i, j] = sample(g[c], i, j) if c < channels else x[c - channels, i, j] * sample(attention, i, j)
    return result


# Patches of one pixel, of two, of a row.
@pytest.mark.parametrize("size", [(4, 4), (8, 4), (4, 12)])
@pytest.mark.parametrize("grid", GRIDS)
def test_loop(grid: tuple[int, int], size: tuple[int, int]) -> None:
    g, x, gate_g, gate_x, weight, bias = (v.double() for v in tensors((2, 2, *size), 3, HIDDEN))
    cut = [split_patches(v, grid).numpy() for v in (g, x, gate_g + gate_x)]
    expected = [loop(*patches, weight.flatten().numpy(), bias.item()) for patches in zip(*cut, strict=True)]
    result = patch_local(g, x, gate_g, gate_x, weight, bias, grid)
    np.testing.assert_allclose(result, np.stack(expected), rtol=1e-12)


def published(module: PatchLocalAttention, g: Tensor, x: Tensor) -> Tensor:
    """A level of the global decoder."""
    attention = torch.sigmoid(module.psi(torch.relu(module.gate_g(g) + module.gate_x(x))))
    up = [interpolate(v, scale_factor=2, mode="bilinear", align_corners=False) for v in (g, attention)]
    return torch.cat((up[0], x * up[1]), 1)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("cut_before", [False, True])
def test_module_is_the_global_level_of_every_patch(
    grid: tuple[int, int], layout: torch.memory_format, cut_before: bool
) -> None:
    torch.manual_seed(0)
    module = PatchLocalAttention(6, 5).to(memory_format=layout)  # type: ignore[call-overload]
    assert [tuple(p.shape) for p in module.parameters()] == [(3, 6, 1, 1), (3,), (3, 5, 2, 2), (1, 3, 1, 1), (1,)]
    g, x, *_ = (v.contiguous(memory_format=layout).requires_grad_() for v in tensors((1, 6, 8, 12), 5, 1)[:2])
    leaves = [g, x, *module.parameters()]
    result = module(split_patches(g, grid).contiguous(memory_format=layout) if cut_before else g, x, grid)
    assert result.is_contiguous(memory_format=layout)
    expected = published(module, split_patches(g, grid), split_patches(x, grid))
    torch.testing.assert_close(result, expected)
    upstream = torch.randn_like(result)
    for actual, right in zip(*(torch.autograd.grad(v, leaves, upstream) for v in (result, expected)), strict=True):
        torch.testing.assert_close(actual, right, rtol=1e-4, atol=1e-5)


@given(seed=st.integers(0, 1000), grid=st.sampled_from(GRIDS[1:]), which=st.integers(0, 3))
@settings(max_examples=4 if INTERPRETED else 12, deadline=None)
def test_a_patch_changes_its_own_output_alone(seed: int, grid: tuple[int, int], which: int) -> None:
    level, count = tensors((2, 2, 4, 8), 2, 2, seed), 2 * grid[0] * grid[1]
    before, patch = patch_local(*level, grid), seed % count
    cut = split_patches(level[which], grid).clone()
    cut[patch] = torch.nan
    level[which] = merge_patches(cut, grid)
    after = patch_local(*level, grid)
    others = [i for i in range(count) if i != patch]
    assert torch.equal(after[others], before[others])
    assert after[patch].isnan().any()


@pytest.mark.parametrize("padding", ["zeros", "replicate"])
def test_levels_follow_each_other_in_patches(padding: str) -> None:
    torch.manual_seed(0)
    grid = 1, 2
    first, second = PatchLocalAttention(4, 3), PatchLocalAttention(2, 5)
    convolve = nn.Conv2d(7, 2, 3, padding=1, padding_mode=padding)
    g, x, y = torch.randn(2, 4, 4, 8), torch.randn(2, 3, 8, 16), torch.randn(2, 5, 16, 32)

    def decoder(g: Tensor, x: Tensor, y: Tensor, grid: tuple[int, int]) -> Tensor:
        return second(convolve(first(g, x, grid)), y, grid)

    by_hand = [
        decoder(*patch, (1, 1)) for patch in zip(*(split_patches(v, grid).split(1) for v in (g, x, y)), strict=True)
    ]
    torch.testing.assert_close(decoder(g, x, y, grid), torch.cat(by_hand))


# On both sides of a tile of pixels, of one of channels.
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(1, 2, 9, 140), (1, 70, 5, 2), (1, 3, 66, 4)])
@pytest.mark.parametrize("device", DEVICES)
def test_tiles(device: str, shape: tuple[int, ...], layout: torch.memory_format) -> None:
    exact = [v.bfloat16().double().requires_grad_() for v in tensors(shape, shape[1] + 1, shape[1])]
    leaves = [v.detach().to(device, torch.bfloat16) for v in exact]
    leaves = [(v.contiguous(memory_format=layout) if v.ndim == 4 else v).requires_grad_() for v in leaves]
    result, expected = patch_local(*leaves, (1, 2)), reference.patch_local(*exact, (1, 2))
    upstream = torch.randn(result.shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    actual = [result, *torch.autograd.grad(result, leaves, upstream.to(result))]
    right = [expected, *torch.autograd.grad(expected, exact, upstream.double())]
    for one, other in zip(actual, right, strict=True):
        assert (one.cpu().double() - other).norm() / other.norm() <= 2**-8


def test_dtypes_may_differ() -> None:
    level = tensors((1, 4, 4, 4), 2, 2)
    dtypes = [torch.bfloat16, torch.float32, torch.bfloat16, torch.float16, torch.float32, torch.float32]
    level = [v.to(dtype).requires_grad_() for v, dtype in zip(level, dtypes, strict=True)]
    result = patch_local(*level, (2, 2))
    assert result.dtype == torch.float32
    assert [v.dtype for v in torch.autograd.grad(result.sum(), level)] == dtypes
    torch.testing.assert_close(result, reference.patch_local(*(v.double() for v in level), (2, 2)).float())


def test_under_autocast_convolutions_round_and_the_op_does_not() -> None:
    module = PatchLocalAttention(4, 2)
    g, x, *_ = tensors((1, 4, 4, 4), 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        result = module(g, x, (2, 2))
        gates = module.gate_g(g), module.gate_x(x)
    assert gates[0].dtype == torch.bfloat16
    assert torch.equal(result, patch_local(g, x, *gates, module.psi.weight, module.psi.bias, (2, 2)))


@pytest.mark.parametrize("sign", [-1, 1])
def test_saturated_and_infinite_scores(sign: int) -> None:
    level = [v.requires_grad_() for v in tensors((1, 2, 2, 4), 2, 2)]
    for score in (1e4, math.inf):
        with torch.no_grad():
            level[5].fill_(sign * score)
        result = patch_local(*level, (1, 2))
        assert torch.equal(result[:, 2:], split_patches(level[1], (1, 2)) * (sign > 0))
        d_gate, d_weight = torch.autograd.grad(result.sum(), [level[2], level[4]])
        assert not d_gate.any()
        assert not d_weight.any()


def test_no_gradient_where_the_gate_is_closed() -> None:
    level = [v.requires_grad_() for v in tensors((1, 2, 2, 4), 2, 2)]
    with torch.no_grad():
        level[2].copy_(-level[3])
    d_gates = torch.autograd.grad(patch_local(*level, (1, 2)).sum(), level[2:4])
    assert not any(d_gate.any() for d_gate in d_gates)


def test_closed_form_against_numerical_differences() -> None:
    level = [v.double().requires_grad_() for v in tensors((1, 2, 4, 4), 2, 2)]
    assert torch.autograd.gradcheck(lambda *v: patch_local(*v, (2, 1)), level)


def test_backward_keeps_its_arguments_alone() -> None:
    level, kept = [v.requires_grad_() for v in tensors((1, 4, 4, 4), 2, 2)], set()
    with torch.autograd.graph.saved_tensors_hooks(lambda v: kept.add(v.data_ptr()) or v, lambda v: v):
        patch_local(*level, (2, 2))
    assert kept == {v.data_ptr() for v in level}


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2))
@settings(max_examples=20, deadline=None)
def test_merging_undoes_splitting(rows: int, columns: int, height: int, width: int, batch: int) -> None:
    x = torch.randn(batch, 2, rows * height, columns * width)
    patches = split_patches(x, (rows, columns))
    assert torch.equal(merge_patches(patches, (rows, columns)), x)
    for i, patch in enumerate(patches):
        sample, row, column = i // columns // rows, i // columns % rows * height, i % columns * width
        assert torch.equal(patch, x[sample, :, row : row + height, column : column + width])


@pytest.mark.parametrize(
    ("call", "exception", "text"),
    [
        (
            lambda: split_patches(torch.ones(1, 2, 6, 6), (2, 4)),
            ValueError,
            r"multiples of 2 and 4, got \(1, 2, 6, 6\)",
        ),
        (lambda: split_patches(torch.ones(6, 6), (2, 2)), ValueError, r"\(B, C, H, W\)"),
        (lambda: split_patches(torch.ones(1, 2, 6, 6), 2), TypeError, "grid must be a pair"),
        (lambda: merge_patches(torch.ones(6, 2, 6, 6), (2, 2)), ValueError, r"\(B \* 2 \* 2, C, h, w\), got \(6, 2"),
        (lambda: merge_patches(torch.ones(4, 6, 6), (2, 2)), ValueError, r"got \(4, 6, 6\)"),
    ],
)
def test_bad_patches(call: Callable[[], Tensor], exception: type[Exception], text: str) -> None:
    with pytest.raises(exception, match=text):
        call()
