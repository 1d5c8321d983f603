"""The normalized focal loss: every proof of an op, and its paper's formula as a loop in float64."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from dislosses import NormalizedFocalLoss, normalized_focal_loss
from dislosses._pixel_loss.formula import Arguments
from dislosses._pixel_loss.reference import loss as loss_of_samples
from dislosses._pixel_loss.reference import terms_of_pixels
from dislosses.normalized_focal.reference import FORMULA
from tests.harness import Op, check_op

IGNORED = -1


def reference_loss(
    logits: Tensor, target: Tensor, alpha: float = 0.5, gamma: float = 2.0, reduction: str = "mean"
) -> Tensor:
    losses = loss_of_samples(FORMULA, logits, target, Arguments((gamma, alpha, 1 - alpha), IGNORED))
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def numerator(logits: Tensor, target: Tensor, alpha: float, reduction: str) -> Tensor:
    """All of the loss that its gradient looks into; the divisor is a constant to it."""
    return terms_of_pixels(FORMULA, logits, target, Arguments((2.0, alpha, 1 - alpha), IGNORED))[0].flatten(1).sum(1)


def make_inputs(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    logits = (torch.randn(shape, generator=generator) * 5).to(dtype)
    target = torch.rand(shape, generator=generator, dtype=torch.float32).bfloat16()
    target = torch.where(target < 0.4, 0, torch.where(target < 0.8, 1, target))
    target[torch.rand(shape, generator=generator) > 0.9] = IGNORED
    target[:1, :, :2] = IGNORED
    return (logits, target.to(dtype)), {"alpha": 0.3, "reduction": "none"}


def loss_of(**arguments: Any) -> Tensor:
    return normalized_focal_loss(**{"logits": torch.zeros(2, 3), "target": torch.zeros(2, 3), **arguments})


test_normalized_focal = check_op(
    Op(
        function=normalized_focal_loss,
        reference=reference_loss,
        make_inputs=make_inputs,
        overload=torch.ops.dislosses.normalized_focal.default,
        overload_arguments=lambda logits, target, **_: ((logits, target, (2.0, 0.3, 0.7), float(IGNORED), False), {}),
        # Half precision arrives rounded in the gradient; what is below its smallest number is lost.
        tolerances={torch.float32: (2e-5, 1e-6), torch.bfloat16: (8e-3, 1e-5), torch.float16: (1e-3, 1e-6)},
        differentiable=[0],
        gradcheck=numerator,
        like_first=False,
        errors=[
            (lambda: loss_of(logits=torch.zeros(2, 3, dtype=torch.int64)), TypeError, "logits must be a floating"),
            (lambda: loss_of(target=torch.zeros(2, 3, dtype=torch.complex64)), TypeError, "target must be a bool"),
            (lambda: loss_of(target=torch.zeros(2, 4)), ValueError, r"target must have the shape .*\(2, 4\)"),
            (lambda: loss_of(logits=torch.tensor(0.0), target=torch.tensor(0.0)), ValueError, "batch dimension"),
            (lambda: loss_of(alpha=1.5), ValueError, r"alpha must be in \[0, 1\], got 1.5"),
            (lambda: loss_of(gamma=-1), ValueError, r"gamma must be in \[0, inf\], got -1"),
            (lambda: loss_of(reduction="max"), ValueError, "reduction must be one of mean, sum, none, got 'max'"),
        ],
    )
)


def loop(
    logits: list[float],
    target: list[float],
    alpha: float,
    gamma: float,
    eps: float = 1e-12,
    multiplier: float | None = None,
) -> tuple[float, float]:
    """The loss of one sample as the specification writes it, and its multiplier N_valid / (sum beta + eps)."""
    terms, beta_sum, valid = [], 0.0, 0
    for x, t in zip(logits, target, strict=True):
        if t == IGNORED:
            continue
        p = 1 / (1 + math.exp(-x))
        pt = 1 - abs(t - p)
        beta = (1 - pt) ** gamma
        terms.append((alpha if t > 0.5 else 1 - alpha) * beta * -math.log(min(pt + eps, 1)))
        beta_sum += beta
        valid += 1
    if multiplier is None:
        multiplier = valid / (beta_sum + eps)
    return multiplier * sum(terms) / (valid + eps), multiplier


def samples(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Hard labels, soft labels, ignored pixels, and a last sample that is ignored whole."""
    (logits, target), _ = make_inputs((4, 1, 6, 7), dtype, torch.Generator().manual_seed(3))
    target[0] = (target[0] > 0.5).to(dtype)
    target[3] = IGNORED
    return logits, target


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 2.5])
@pytest.mark.parametrize("alpha", [0.5, 0.2])
def test_values_of_the_loop(alpha: float, gamma: float) -> None:
    logits, target = samples(torch.float32)
    expected = [
        loop(x.flatten().tolist(), t.flatten().tolist(), alpha, gamma)[0] for x, t in zip(logits, target, strict=True)
    ]
    losses = normalized_focal_loss(logits, target, alpha, gamma, IGNORED, "none")
    torch.testing.assert_close(losses.double(), torch.tensor(expected, dtype=torch.float64), rtol=2e-6, atol=1e-9)
    assert losses[3] == 0


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 2.5])
def test_gradient_of_the_loop(gamma: float) -> None:
    logits, target = samples(torch.float64)
    logits.requires_grad_()
    normalized_focal_loss(logits, target, 0.3, gamma, IGNORED, "sum").backward()
    assert logits.grad is not None
    step = 1e-5
    for x, t, gradient in zip(logits.detach(), target, logits.grad, strict=True):
        values, labels = x.flatten().tolist(), t.flatten().tolist()
        _, multiplier = loop(values, labels, 0.3, gamma)
        for i, actual in enumerate(gradient.flatten().tolist()):
            moved = [[*values[:i], values[i] + way * step, *values[i + 1 :]] for way in (1, -1)]
            up, down = (loop(v, labels, 0.3, gamma, multiplier=multiplier)[0] for v in moved)
            assert actual == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-9)


def test_wrong_and_certain_logits_are_as_in_float64() -> None:
    logits = torch.tensor([[-60.0, -30.0, -18.0, 18.0, 30.0, 60.0]]).requires_grad_()
    exact = logits.detach().double().requires_grad_()
    target = torch.tensor([[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]])
    loss, expected = normalized_focal_loss(logits, target), normalized_focal_loss(exact, target)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for gradient, right in zip(
        torch.autograd.grad(loss, logits)[0][0], torch.autograd.grad(expected, exact)[0][0], strict=True
    ):
        assert gradient.item() == pytest.approx(right.item(), rel=1e-4, abs=1e-12)


def test_backward_keeps_the_inputs_and_a_number_a_sample() -> None:
    (logits, target), _ = make_inputs((3, 1, 33, 40), torch.float32, torch.Generator().manual_seed(0))
    logits.requires_grad_()
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        normalized_focal_loss(logits, target)
    inputs = {logits.data_ptr(), target.data_ptr()}
    assert all(x.data_ptr() in inputs or x.numel() <= 3 for x in kept)
    assert inputs <= {x.data_ptr() for x in kept}


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int8, torch.int64, torch.float16])
def test_labels_of_any_dtype(dtype: torch.dtype) -> None:
    logits = torch.randn(2, 1, 9, 9)
    target = torch.rand(2, 1, 9, 9) > 0.5
    torch.testing.assert_close(
        normalized_focal_loss(logits, target.to(dtype)), normalized_focal_loss(logits, target.float())
    )


def test_several_blocks_a_sample_and_several_samples_a_block() -> None:
    for shape in [(2, 1, 390, 391), (40, 1, 5, 9)]:
        logits, target = torch.randn(shape, requires_grad=True), (torch.rand(shape) > 0.5).float()
        exact = logits.detach().double().requires_grad_()
        normalized_focal_loss(logits, target).backward()
        reference_loss(exact, target).backward()
        assert logits.grad is not None
        assert exact.grad is not None
        torch.testing.assert_close(logits.grad.double(), exact.grad, rtol=1e-4, atol=1e-9)


def test_module_is_the_function() -> None:
    logits, target = torch.randn(2, 1, 4, 4), torch.rand(2, 1, 4, 4)
    module = NormalizedFocalLoss(alpha=0.2, gamma=1.5, ignore_label=0.5, reduction="sum")
    assert module(logits, target) == normalized_focal_loss(logits, target, 0.2, 1.5, 0.5, "sum")
