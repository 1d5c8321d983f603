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
from tests.dislosses.pixels import IGNORED, proofs, samples


def reference_loss(
    logits: Tensor, target: Tensor, alpha: float = 0.5, gamma: float = 2.0, reduction: str = "mean"
) -> Tensor:
    losses = loss_of_samples(FORMULA, logits, target, Arguments((gamma, alpha, 1 - alpha), IGNORED))
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def numerator(logits: Tensor, target: Tensor, alpha: float, reduction: str) -> Tensor:
    """All of the loss that its gradient looks into; the divisor is a constant to it."""
    return terms_of_pixels(FORMULA, logits, target, Arguments((2.0, alpha, 1 - alpha), IGNORED))[0].flatten(1).sum(1)


test_normalized_focal = proofs(
    normalized_focal_loss,
    reference_loss,
    Arguments((2.0, 0.3, 0.7), IGNORED),
    {"alpha": 0.3, "reduction": "none"},
    gradcheck=numerator,
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


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 2.5])
@pytest.mark.parametrize("alpha", [0.5, 0.2])
def test_values_of_the_loop(alpha: float, gamma: float) -> None:
    logits, target = samples(torch.float32)
    expected = [
        loop(x.flatten().tolist(), t.flatten().tolist(), alpha, gamma)[0] for x, t in zip(logits, target, strict=True)
    ]
    losses = normalized_focal_loss(logits, target, alpha, gamma, IGNORED, "none")
    torch.testing.assert_close(losses.double(), torch.tensor(expected, dtype=torch.float64), rtol=2e-6, atol=1e-9)
    assert losses[2] == 0


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


def official(logits: Tensor, target: Tensor, max_mult: float | None, size_average: bool) -> tuple[list[float], Any]:
    """Each sample's loss by the specification, and its (multiplier, largest weight, has ignored pixels)."""
    losses, statistics = [], []
    for x, t in zip(logits.flatten(1).tolist(), target.flatten(1).tolist(), strict=True):
        valid = [label != IGNORED for label in t]
        pt = [1 - abs(b - 1 / (1 + math.exp(-a))) if v else 1 for a, b, v in zip(x, t, valid, strict=True)]
        multiplier = sum(valid) / (sum((1 - p) ** 2 for p in pt) + 1e-12)
        weights = [min(multiplier * (1 - p) ** 2, max_mult or math.inf) for p in pt]
        terms = [-(0.3 if b > 0.5 else 0.7) * w * math.log(p) for b, w, p in zip(t, weights, pt, strict=True)]
        losses.append(sum(terms) / (sum(valid) + 1e-12 if size_average else 1))
        statistics.append((multiplier, max(weights), not all(valid)))
    return losses, statistics


@pytest.mark.parametrize("max_mult", [None, 0.5, 3.0, 1e9])
@pytest.mark.parametrize("size_average", [True, False])
@pytest.mark.parametrize("input", ["logits", "probabilities"])
def test_options_of_the_official_code(max_mult: float | None, size_average: bool, input: str) -> None:
    logits, target = samples(torch.float64)
    expected, _ = official(logits, target, max_mult, size_average)
    predictions = logits if input == "logits" else logits.sigmoid()
    options: dict[str, Any] = {"max_mult": max_mult, "size_average": size_average, "input": input}
    losses = normalized_focal_loss(predictions, target, 0.3, reduction="none", **options)
    assert losses.tolist() == pytest.approx(expected, rel=1e-7, abs=1e-12)


def test_a_limit_stops_the_gradient_of_the_weights_above_it() -> None:
    logits, target = samples(torch.float64)
    logits.requires_grad_()
    positive, valid = logits.sigmoid(), target != IGNORED
    pt = torch.where(valid, 1 - (target - positive).abs(), 1)
    beta, count = (1 - pt) ** 2, valid.sum((1, 2, 3), keepdim=True)
    weights = (beta * (count / (beta.sum((1, 2, 3), keepdim=True) + 1e-12)).detach()).clamp_max(1.5)
    plain = (-0.5 * weights * pt.log()).sum((1, 2, 3)) / (count.flatten() + 1e-12)
    loss = normalized_focal_loss(logits, target, reduction="none", max_mult=1.5)
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(torch.autograd.grad(loss.sum(), logits), torch.autograd.grad(plain.sum(), logits))


@pytest.mark.parametrize("max_mult", [None, 1.5])
def test_running_statistics(max_mult: float | None) -> None:
    module = NormalizedFocalLoss(max_mult=max_mult, track_statistics=True)
    logits, target = samples(torch.float32)
    k_sum = m_max = 0.0
    for _ in range(2):
        module(logits, target)
        _, statistics = official(logits, target, max_mult, size_average=True)
        whole = [multiplier for multiplier, _, has_ignored in statistics if not has_ignored]
        assert len(whole) == 1
        k_sum = 0.9 * k_sum + 0.1 * sum(whole) / len(whole)
        m_max = 0.8 * m_max + 0.2 * sum(largest for _, largest, _ in statistics) / len(statistics)
        assert module.k_sum.item() == pytest.approx(k_sum, rel=1e-5)
        assert module.m_max.item() == pytest.approx(m_max, rel=1e-5)
    before = module.state_dict()
    module(logits[1:], target[1:])
    module(logits[:0], target[:0])
    assert module.state_dict() == before


def test_statistics_are_off_unless_asked_for() -> None:
    assert not NormalizedFocalLoss().state_dict()


def test_statistics_compile() -> None:
    eager, compiled = (NormalizedFocalLoss(track_statistics=True) for _ in range(2))
    logits, target = samples(torch.float32)
    expected = eager(logits, target)
    torch.testing.assert_close(torch.compile(compiled, fullgraph=True, backend="aot_eager")(logits, target), expected)
    torch.testing.assert_close(compiled.state_dict(), eager.state_dict())


def test_limits_are_above_0() -> None:
    with pytest.raises(ValueError, match="max_mult must be above 0, or None for no limit, got 0"):
        NormalizedFocalLoss(max_mult=0)


def test_alpha_and_gamma_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\], got 1.5"):
        normalized_focal_loss(torch.zeros(1, 1), torch.zeros(1, 1), 1.5)
    with pytest.raises(ValueError, match=r"gamma must be in \[0, inf\], got -1"):
        normalized_focal_loss(torch.zeros(1, 1), torch.zeros(1, 1), gamma=-1)
