"""The Laplacian boundary loss: every proof of an op, and the definition as a loop in float64."""

import math
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dislayers._runtime.launch import triton_missing
from dislosses import LaplacianBoundaryLoss, laplacian_boundary_loss
from dislosses.laplacian_boundary import reference
from tests.harness import Op, check_op

# The interpreter of Triton takes 20 ms a row.
INTERPRETED = not triton_missing("cpu")
SHAPES = ((2, 2, 5, 7), (3, 3, 4, 66), (1, 1, 1, 1), (0, 3, 8, 8), (1, 1, 6, 1))
OPTIONS = list(product(("abs", "relu"), (8, 4), ("logits", "probabilities")))


def reference_loss(
    logits: Tensor, target: Tensor, edge: str = "abs", kernel: int = 8, reduction: str = "mean", **_: str
) -> Tensor:
    losses = reference.laplacian_boundary(logits, target, edge, kernel, "logits")
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def make_inputs(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Logits in a pattern of 4 that has no flat place: the slope has a pole where an edge vanishes."""
    rows, columns = torch.arange(shape[-2])[:, None], torch.arange(shape[-1])
    pattern = 4.0 * ((rows + columns) % 2) - 2 + (columns % 2)
    logits = pattern + 0.5 * torch.rand(shape, generator=generator)
    target = torch.rand(shape, generator=generator)
    target = torch.where(target < 0.4, 0, torch.where(target < 0.8, 1, target))
    return (logits.to(dtype), target.to(dtype)), {"reduction": "none"}


def loss_of(**arguments: Any) -> Tensor:
    return laplacian_boundary_loss(**{"logits": torch.zeros(2, 3, 3), "target": torch.zeros(2, 3, 3), **arguments})


test_laplacian_boundary = check_op(
    Op(
        function=laplacian_boundary_loss,
        reference=reference_loss,
        make_inputs=make_inputs,
        overload=torch.ops.dislosses.laplacian_boundary.default,
        overload_arguments=lambda logits, target, **_: ((logits, target, "abs", 8, "logits"), {}),
        shapes=((4, 3, 2, 5), (3, 2, 3, 66), (0, 3, 8, 8)) if INTERPRETED else SHAPES,
        dtypes=(torch.float32,) if INTERPRETED else (torch.float32, torch.bfloat16, torch.float16, torch.float64),
        # Half precision arrives rounded in the gradient.
        tolerances={torch.float32: (1e-4, 2e-6), torch.bfloat16: (8e-3, 1e-5), torch.float16: (1e-3, 1e-5)},
        differentiable=[0],
        like_first=False,
        errors=[
            (lambda: loss_of(logits=torch.zeros(2, 3, 3, dtype=torch.int64)), TypeError, "logits must be a floating"),
            (lambda: loss_of(target=torch.zeros(2, 3, 3, dtype=torch.complex64)), TypeError, "target must be a bool"),
            (lambda: loss_of(target=torch.zeros(2, 3, 4)), ValueError, r"target must have the shape .*\(2, 3, 4\)"),
            (lambda: loss_of(logits=torch.zeros(3), target=torch.zeros(3)), ValueError, r"\(\.\.\., H, W\), got"),
            (lambda: loss_of(edge="tanh"), ValueError, "edge must be one of abs, relu, got 'tanh'"),
            (lambda: loss_of(kernel=9), ValueError, "kernel must be 4 or 8, got 9"),
            (lambda: loss_of(reduction="max"), ValueError, "reduction must be one of mean, sum, none, got 'max'"),
            (lambda: loss_of(input="edges"), ValueError, "input must be one of logits, probabilities, got 'edges'"),
            (lambda: loss_of(sample_weight=torch.ones(3)), ValueError, r"sample_weight must have the shape \(2,\)"),
            (lambda: LaplacianBoundaryLoss(kernel=9), ValueError, "kernel must be 4 or 8, got 9"),
            (
                lambda: loss_of(sample_weight=torch.ones(2, device="meta")),
                ValueError,
                "on the device of logits, cpu",
            ),
            (lambda: loss_of(sample_weight=[1, 1]), TypeError, "sample_weight must be a floating tensor, got list"),
        ],
    )
)


def convolved(plane: list[list[float]], row: int, column: int, kernel: int) -> float:
    """The convolution as the paper writes it."""
    total = 0.0
    for i, j in product((-1, 0, 1), repeat=2):
        weight = kernel if i == j == 0 else -1 if kernel == 8 or i * j == 0 else 0
        if 0 <= row + i < len(plane) and 0 <= column + j < len(plane[0]):
            total += weight * plane[row + i][column + j]
    return total


def loop(probability: list[list[float]], target: list[list[float]], edge: str, kernel: int) -> float:
    """The loss of one plane."""

    def found(plane: list[list[float]], row: int, column: int) -> float:
        value = math.tanh(convolved(plane, row, column, kernel))
        return abs(value) if edge == "abs" else max(value, 0)

    places = list(product(range(len(target)), range(len(target[0]))))
    total = 0.0
    for place in places:
        d, t = min(max(found(probability, *place), 1e-7), 1 - 1e-7), found(target, *place)
        total -= t * math.log(d) + (1 - t) * math.log(1 - d)
    return total / len(places)


@pytest.mark.parametrize(("edge", "kernel", "input"), OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_of_the_loop(dtype: torch.dtype, edge: str, kernel: int, input: str) -> None:
    (logits, target), _ = make_inputs((2, 1, 6, 7), dtype, torch.Generator().manual_seed(3))
    values = logits.sigmoid() if input == "probabilities" else logits
    losses = laplacian_boundary_loss(values, target, edge, kernel, "none", input=input)
    expected = [
        loop(p[0].tolist(), t[0].tolist(), edge, kernel)
        for p, t in zip(logits.double().sigmoid(), target.double(), strict=True)
    ]
    # Plain PyTorch rounds 1 - D to float32, which has few digits where an edge is near 1; the kernels are within 5e-6.
    torch.testing.assert_close(losses.double(), torch.tensor(expected, dtype=torch.float64), rtol=5e-5, atol=1e-7)


@pytest.mark.parametrize(("edge", "kernel", "input"), OPTIONS)
def test_gradient_of_the_plain_formula(edge: str, kernel: int, input: str) -> None:
    (logits, target), _ = make_inputs((2, 3, 6, 7), torch.float32, torch.Generator().manual_seed(3))
    values = (logits.sigmoid() if input == "probabilities" else logits).requires_grad_()
    exact = values.detach().double().requires_grad_()
    weights = -torch.ones(1, 1, 3, 3, dtype=torch.float64)
    weights[..., 1, 1] = kernel
    if kernel == 4:
        weights[..., ::2, ::2] = 0

    def edges(planes: Tensor) -> Tensor:
        tanh = F.conv2d(planes.flatten(0, 1)[:, None], weights, padding=1).tanh()
        return tanh.abs() if edge == "abs" else tanh.relu()

    found = edges(exact.sigmoid() if input == "logits" else exact).clamp(1e-7, 1 - 1e-7)
    expected = F.binary_cross_entropy(found, edges(target.double()), reduction="none").view(2, -1).mean(1)
    torch.autograd.backward(expected, torch.tensor([1.0, -2.0]).double())
    losses = laplacian_boundary_loss(values, target, edge, kernel, "none", input=input)
    torch.autograd.backward(losses, torch.tensor([1.0, -2.0]))
    torch.testing.assert_close(losses.double(), expected, rtol=1e-5, atol=0)
    assert values.grad is not None
    assert exact.grad is not None
    torch.testing.assert_close(values.grad.double(), exact.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.3, -7.7, 40.0])
@pytest.mark.parametrize("width", [5, 37, 131])
def test_a_flat_prediction_has_no_edge_and_no_gradient_inside(width: int, value: float) -> None:
    logits = torch.full((1, 1, 7, width), value, requires_grad=True)
    target = torch.rand(1, 1, 7, width) > 0.5
    (gradient,) = torch.autograd.grad(laplacian_boundary_loss(logits, target), logits)
    assert (gradient[..., 2:-2, 2:-2] == 0).all()
    inside = laplacian_boundary_loss(logits[..., 1:-1, 1:-1] * 0 - math.inf, target[..., 1:-1, 1:-1])
    wanted = reference.edges(reference.laplacian(target[..., 1:-1, 1:-1].double(), 8), "abs").mean()
    assert inside.item() == pytest.approx(-wanted.item() * math.log(1e-7), rel=1e-4)


def test_infinite_logits_are_probabilities_of_0_and_1() -> None:
    target = (torch.rand(1, 1, 6, 9) > 0.5).float()
    logits = ((target - 0.5) * math.inf).requires_grad_()
    loss = laplacian_boundary_loss(logits, target)
    expected = laplacian_boundary_loss(target.double(), target, input="probabilities")
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-6)
    assert (torch.autograd.grad(loss, logits)[0].abs() < 1e-30).all()


@pytest.mark.parametrize("where", ["logits", "target"])
@pytest.mark.parametrize("edge", ["abs", "relu"])
def test_nan_makes_the_loss_of_its_sample_nan(edge: str, where: str) -> None:
    (logits, target), _ = make_inputs((2, 1, 6, 7), torch.float32, torch.Generator().manual_seed(0))
    {"logits": logits, "target": target}[where][1, 0, 3, 3] = math.nan
    logits.requires_grad_()
    losses = laplacian_boundary_loss(logits, target, edge, reduction="none")
    assert losses.isnan().tolist() == [False, True]
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert not gradient[0].isnan().any()
    assert gradient[1, 0, 3, 3].isnan()


def test_clipped_edges_get_no_gradient_and_those_just_inside_a_large_one() -> None:
    target = torch.tensor([[[1.0]]])
    for value, expected in [(1e-9, 0.0), (1e-7, -7.6e5 * 8)]:
        p = torch.tensor([[[value]]], requires_grad=True)
        loss = laplacian_boundary_loss(p, target * 0.125, input="probabilities")
        (gradient,) = torch.autograd.grad(loss, p)
        assert gradient.item() == pytest.approx(expected * 1.25, rel=0.01)


def test_a_batch_of_no_pixels_has_no_loss() -> None:
    assert laplacian_boundary_loss(torch.zeros(2, 1, 0, 4), torch.zeros(2, 1, 0, 4), reduction="none").isnan().all()
    assert laplacian_boundary_loss(torch.zeros(0, 1, 4, 4), torch.zeros(0, 1, 4, 4), reduction="sum") == 0


def test_backward_keeps_the_inputs_alone() -> None:
    (logits, target), _ = make_inputs((3, 1, 9, 40), torch.float32, torch.Generator().manual_seed(0))
    logits.requires_grad_()
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        laplacian_boundary_loss(logits, target)
    inputs = {logits.data_ptr(), target.data_ptr()}
    assert {x.data_ptr() for x in kept if x.numel() > 3} == inputs


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float64])
def test_labels_of_any_dtype(dtype: torch.dtype) -> None:
    (logits, _), _ = make_inputs((2, 1, 9, 9), torch.float32, torch.Generator().manual_seed(0))
    target = torch.rand(2, 1, 9, 9) > 0.5
    torch.testing.assert_close(
        laplacian_boundary_loss(logits, target.to(dtype)), laplacian_boundary_loss(logits, target.float())
    )


def test_several_bands_and_strips_of_a_plane() -> None:
    (logits, target), _ = make_inputs((1, 2, 70, 70), torch.float32, torch.Generator().manual_seed(0))
    logits.requires_grad_()
    exact = logits.detach().double().requires_grad_()
    losses = laplacian_boundary_loss(logits, target), laplacian_boundary_loss(exact, target)
    torch.testing.assert_close(losses[0].double(), losses[1], rtol=1e-5, atol=0)
    (gradient,), (expected,) = (torch.autograd.grad(loss, x) for loss, x in zip(losses, (logits, exact), strict=True))
    torch.testing.assert_close(gradient.double(), expected, rtol=1e-4, atol=1e-9)


def test_weights_of_samples_and_images_without_a_batch() -> None:
    (logits, target), _ = make_inputs((3, 1, 5, 6), torch.float32, torch.Generator().manual_seed(0))
    weight = torch.tensor([0.5, 0.0, 2.0])
    losses = laplacian_boundary_loss(logits, target, reduction="none")
    weighted = laplacian_boundary_loss(logits, target, reduction="sum", sample_weight=weight)
    torch.testing.assert_close(weighted, (losses * weight).sum())
    torch.testing.assert_close(laplacian_boundary_loss(logits[0, 0], target[0, 0], reduction="none"), losses[:1])


def test_module_is_the_function() -> None:
    (logits, target), _ = make_inputs((2, 1, 4, 4), torch.float32, torch.Generator().manual_seed(0))
    probability, weight = logits.sigmoid(), torch.tensor([1.0, 3.0])
    module = LaplacianBoundaryLoss("relu", 4, "sum", input="probabilities")
    expected = laplacian_boundary_loss(
        probability, target, "relu", 4, "sum", input="probabilities", sample_weight=weight
    )
    assert module(probability, target, weight) == expected
