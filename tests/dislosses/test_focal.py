"""The focal loss: every proof of an op, and its definition as a loop in float64."""

import math

import pytest
import torch
from torch import Tensor

from dislosses import bce_loss, focal_loss
from dislosses._pixel_loss.formula import Arguments
from tests.dislosses.pixels import IGNORED, numbers, proofs, samples


def definition(logits: Tensor, target: Tensor, alpha: float, ignore_label: float) -> Tensor:
    valid = target != ignore_label
    pt = torch.where(valid, 1 - (target - logits.sigmoid()).abs(), 1)
    return (-torch.where(target > 0.5, alpha, 1 - alpha) * (1 - pt) ** 2 * pt.log()).mean()


test_focal = proofs(
    focal_loss, definition, Arguments((2.0, 0.25, 0.75), IGNORED), {"alpha": 0.25, "ignore_label": IGNORED}
)


def loop(logits: list[float], target: list[float], alpha: float | None, gamma: float) -> list[float]:
    """Each pixel as the specification writes it."""
    result = []
    for x, t in zip(logits, target, strict=True):
        weight = 1 if alpha is None else alpha if t > 0.5 else 1 - alpha
        pt = 1 - abs(t - 1 / (1 + math.exp(-x)))
        result.append(0.0 if t == IGNORED else -weight * (1 - pt) ** gamma * math.log(pt))
    return result


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 2.5])
@pytest.mark.parametrize("alpha", [None, 0.2])
def test_values_of_the_loop(alpha: float | None, gamma: float) -> None:
    logits, target = samples()
    expected = loop(numbers(logits), numbers(target), alpha, gamma)
    elements = focal_loss(logits, target, alpha, gamma, "none", ignore_label=IGNORED)
    assert numbers(elements) == pytest.approx(expected, rel=1e-8, abs=1e-13)
    assert elements.shape == logits.shape
    for reduction, right in (("mean", sum(expected) / len(expected)), ("sum", sum(expected))):
        found = focal_loss(logits, target, alpha, gamma, reduction, ignore_label=IGNORED)  # type: ignore[arg-type]
        assert found.item() == pytest.approx(right, rel=1e-8)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 2.5])
def test_gradient_of_the_loop(gamma: float) -> None:
    logits, target = samples()
    (gradient,) = torch.autograd.grad(
        focal_loss(logits.requires_grad_(), target, 0.3, gamma, "sum", ignore_label=IGNORED), logits
    )
    step, labels = 1e-5, numbers(target)
    up, down = (loop([x + way * step for x in numbers(logits)], labels, 0.3, gamma) for way in (1, -1))
    expected = [(a - b) / (2 * step) for a, b in zip(up, down, strict=True)]
    assert numbers(gradient) == pytest.approx(expected, rel=1e-4, abs=1e-8)


def test_of_gamma_0_is_the_cross_entropy_of_hard_labels() -> None:
    logits, target = 3 * torch.randn(2, 1, 4, 5), torch.rand(2, 1, 4, 5) > 0.5
    torch.testing.assert_close(focal_loss(logits, target, gamma=0), bce_loss(logits, target))


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_logits_of_any_size_are_right(reduction: str) -> None:
    logits = torch.tensor([[x] for x in (-1e37, -1000.0, -100.0, -88.0, -30.0, 30.0, 88.0, 100.0, 1000.0, 1e37)])
    for sign in (1, -1):
        wrong = (sign * logits).requires_grad_()
        loss = focal_loss(wrong, (wrong < 0).float(), reduction=reduction)  # type: ignore[arg-type]
        torch.testing.assert_close(loss.sum(), wrong.abs().sum())
        (gradient,) = torch.autograd.grad(loss.sum(), wrong)
        torch.testing.assert_close(gradient, wrong.detach().sign())
        right = (sign * logits).requires_grad_()
        loss = focal_loss(right, (right > 0).float(), reduction=reduction)  # type: ignore[arg-type]
        assert numbers(torch.autograd.grad(loss.sum(), right)[0]) == pytest.approx([0] * 10, abs=1e-20)


def test_infinite_logits() -> None:
    logits = torch.tensor([[-torch.inf], [torch.inf], [torch.inf]])
    assert numbers(focal_loss(logits, torch.tensor([[0.0], [1.0], [0.0]]), reduction="none")) == [0, 0, math.inf]
    assert focal_loss(logits[:2], torch.tensor([[0.0], [1.0]])).item() == 0
    assert focal_loss(logits, torch.tensor([[0.0], [1.0], [0.0]])).item() == math.inf


def test_probabilities_of_0_and_1_are_bounded() -> None:
    probabilities = torch.tensor([[0.0, 1.0, 0.0, 1.0]], requires_grad=True)
    target = torch.tensor([[0.0, 1.0, 1.0, 0.0]])
    for reduction in ("sum", "none"):
        loss = focal_loss(probabilities, target, reduction=reduction, input="probabilities").sum()  # type: ignore[arg-type]
        assert loss.item() == pytest.approx(200)
        assert torch.autograd.grad(loss, probabilities)[0].isfinite().all()


def test_alpha_and_gamma_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\], got 1.5"):
        focal_loss(torch.zeros(1, 1), torch.zeros(1, 1), 1.5)
    with pytest.raises(ValueError, match=r"gamma must be in \[0, inf\], got -1"):
        focal_loss(torch.zeros(1, 1), torch.zeros(1, 1), gamma=-1)
