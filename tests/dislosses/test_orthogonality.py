"""The orthogonality of weights: every proof of an op, its sum as a loop, and which weights of a model count."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dislayers._runtime.launch import triton_missing
from dislosses import OrthogonalityLoss, orthogonality_loss, orthogonality_weights
from dislosses.orthogonality import reference
from dismodels import create_model, load_official_state_dict
from tests.dismodels.filled_weights import weight
from tests.harness import Op, check_op

GOLDEN = Path(__file__).parents[1] / "dismodels" / "golden" / "isnet.npz"


def reference_loss(weights: list[Tensor], reduction: str = "sum") -> Tensor:
    losses = reference.orthogonality(weights)
    return losses if reduction == "none" else losses.sum()


def make_inputs(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A convolution's weight and a norm's scales."""
    shapes = [shape, (shape[1],)]
    weights = [(torch.randn(x, generator=generator) / math.sqrt(math.prod(x[1:]) or 1)).to(dtype) for x in shapes]
    return (weights,), {"reduction": "none"}


test_orthogonality = check_op(
    Op(
        function=orthogonality_loss,
        reference=reference_loss,
        make_inputs=make_inputs,
        overload=torch.ops.dislosses.orthogonality.default,
        overload_arguments=lambda weights, **_: ((weights,), {}),
        shapes=[(5, 4, 3, 2), (9, 8, 6, 7), (0, 3, 4, 4)],
        dtypes=(torch.float32, torch.bfloat16, torch.float64),
        # Of equal rows all terms of a gradient add up.
        tolerances={torch.float32: (5e-6, 1e-5)},
        differentiable=[0],
        like_first=False,
        errors=[
            (lambda: orthogonality_loss([]), ValueError, "weights must hold at least one tensor, got none"),
            (
                lambda: orthogonality_loss([torch.ones(2, dtype=torch.int64)]),
                TypeError,
                r"weights\[0\] must be a float",
            ),
            (
                lambda: orthogonality_loss([torch.ones(2), torch.tensor(1.0)]),
                ValueError,
                r"weights\[1\] .* got a scalar",
            ),
            (
                lambda: orthogonality_loss([torch.ones(2), torch.ones(2, device="meta")]),
                ValueError,
                r"weights\[1\] must be on the device of weights\[0\], cpu, got .* on meta",
            ),
            (lambda: orthogonality_loss([torch.ones(2)], "mean"), ValueError, "reduction must be one of sum, none"),
            (lambda: orthogonality_weights(nn.Linear(2, 2), "mine"), ValueError, "reading must be one of paper, off"),
            (lambda: OrthogonalityLoss("mine"), ValueError, "reading must be one of paper, official, got 'mine'"),
            (lambda: OrthogonalityLoss(reduction="mean"), ValueError, "reduction must be one of sum, none, got 'mean'"),
        ],
    )
)


def loop(matrix: list[list[float]]) -> float:
    """The sum as the specification writes it."""
    return sum(
        abs(sum(a * b for a, b in zip(left, right, strict=True)) - (i == j))
        for i, left in enumerate(matrix)
        for j, right in enumerate(matrix)
    )


@pytest.mark.parametrize("shape", [(7, 3, 3, 3), (1, 5), (6,), (130, 2)])
def test_values_of_the_loop(shape: tuple[int, ...]) -> None:
    values = torch.randn(shape)
    expected = loop(values.double().reshape(shape[0], -1).tolist())
    assert orthogonality_loss([values]).item() == pytest.approx(expected, rel=1e-5)


def test_gradient_of_the_loop() -> None:
    values = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(orthogonality_loss([values]), values)
    step = 1e-6
    for i, row in enumerate(gradient.tolist()):
        for k, actual in enumerate(row):
            up, down = values.tolist(), values.tolist()
            up[i][k] += step
            down[i][k] -= step
            assert actual == pytest.approx((loop(up) - loop(down)) / (2 * step), rel=1e-6)


# More weights than a launch then has addresses for, sizes on both sides of a tile's, and some without an element.
def test_many_weights_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    if not triton_missing("cuda"):
        monkeypatch.setattr("dislosses.orthogonality.kernel._ADDRESSES", 20)
    sizes = [(1 + i % 3, i % 5) for i in range(30)] + [(127, 33), (128, 16), (0, 2), (129, 65), (260, 70)]
    weights = [(torch.randn(size) / 4).requires_grad_() for size in sizes]
    exact = [w.detach().double().requires_grad_() for w in weights]
    upstream = torch.randn(len(weights))
    losses, expected = orthogonality_loss(weights, "none"), reference.orthogonality(exact)
    torch.testing.assert_close(losses.double(), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        [x.double() for x in torch.autograd.grad(losses, weights, upstream)],
        list(torch.autograd.grad(expected, exact, upstream.double())),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("rows", [1, 5, 150])
def test_orthogonal_rows_have_neither_loss_nor_gradient(rows: int) -> None:
    values = torch.eye(rows, 160)[:, torch.randperm(160)].requires_grad_()
    loss = orthogonality_loss([values])
    assert loss == 0
    assert not torch.autograd.grad(loss, values)[0].any()


def test_what_is_no_number_shows_in_the_loss() -> None:
    values = torch.tensor([[1.0, 2.0, 0.5], [math.nan, 0.0, 1.0]], requires_grad=True)
    losses = orthogonality_loss([values, torch.tensor([[math.inf]]), torch.ones(1)], "none")
    assert losses[0].isnan()
    assert losses[1:].tolist() == [math.inf, 0]
    # Only 1 + 4 + 0.25 - 1 is a number, so it alone has a sign.
    (gradient,) = torch.autograd.grad(losses[0], values)
    assert gradient[0, 1:].tolist() == [4, 1]


def test_backward_keeps_the_weights_and_a_byte_an_element_of_the_square() -> None:
    weights = [torch.randn(20, 3, 3, 3, requires_grad=True), torch.randn(7, requires_grad=True)]
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        orthogonality_loss(weights)
    inputs = {w.data_ptr() for w in weights}
    assert inputs <= {x.data_ptr() for x in kept}
    assert sum(x.nbytes for x in kept if x.data_ptr() not in inputs) == 400 + 64


def test_gradients_lie_as_their_weights() -> None:
    values = torch.randn(6, 4, 3, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    (gradient,) = torch.autograd.grad(orthogonality_loss([values]), values)
    assert gradient.stride() == values.stride()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_of_several_dtypes(dtype: torch.dtype) -> None:
    half = torch.randn(4, 9).to(dtype).requires_grad_()
    full = torch.randn(4, requires_grad=True)
    loss = orthogonality_loss([half, full])
    torch.testing.assert_close(loss, orthogonality_loss([half.float(), full]))
    assert [x.dtype for x in torch.autograd.grad(loss, [half, full])] == [dtype, torch.float32]


def test_which_weights_count() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ConvTranspose2d(4, 2, 2),
        nn.Conv1d(2, 5, 1, bias=False),
        nn.Linear(5, 1),
    )
    convolutions, normalization, transposed, last, linear = (module.weight for module in model)
    assert [id(x) for x in orthogonality_weights(model)] == [id(convolutions), id(last)]
    every = [convolutions, normalization, transposed, last, linear]
    assert [id(x) for x in orthogonality_weights(model, "official")] == [id(x) for x in every]


@pytest.mark.parametrize("reading", ["paper", "official"])
def test_module_is_the_function(reading: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    module = OrthogonalityLoss(reading, "none")
    assert not list(module.parameters())
    assert torch.equal(module(model), orthogonality_loss(orthogonality_weights(model, reading), "none"))


def test_isnet_with_five_channels_as_in_the_official_recipe() -> None:
    shapes = json.loads(str(np.load(GOLDEN)["keys"])) | {"conv_in.weight": (64, 5, 3, 3)}
    model = create_model("isnet", in_channels=5)
    state = {name: weight(name, tuple(shape), seed=11, gain=1.2) for name, shape in shapes.items()}
    load_official_state_dict(model, {name: torch.from_numpy(np.asarray(x)) for name, x in state.items()})
    convolutions, every = orthogonality_weights(model), orthogonality_weights(model, "official")
    assert (len(convolutions), len(every)) == (119, 231)
    with torch.no_grad():
        losses = reference.forward(every)[0] * 1e-8
    scales = [loss.item() for loss, x in zip(losses, every, strict=True) if x.ndim == 1]
    assert len(scales) == 112
    assert sum(scales) == pytest.approx(0.0392, abs=5e-5)
    assert losses.sum().item() == pytest.approx(0.0401, abs=5e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_that_of_float32_rounded_once(dtype: torch.dtype) -> None:
    half = (torch.randn(33, 3, 3, 3) / 5).to(dtype).requires_grad_()
    full = half.detach().float().requires_grad_()
    loss, expected = orthogonality_loss([half]), orthogonality_loss([full])
    torch.testing.assert_close(loss, expected)
    (gradient,), (right,) = torch.autograd.grad(loss, half), torch.autograd.grad(expected, full)
    torch.testing.assert_close(gradient, right.to(dtype))
