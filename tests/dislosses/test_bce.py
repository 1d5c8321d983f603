"""The binary cross entropy: every proof of an op, and its definition as a loop in float64."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dislosses import bce_loss
from dislosses._pixel_loss.formula import Arguments
from tests.dislosses.pixels import IGNORED, numbers, proofs, samples


def definition(logits: Tensor, target: Tensor, ignore_label: float) -> Tensor:
    valid = target != ignore_label
    return (F.binary_cross_entropy_with_logits(logits, target * valid, reduction="none") * valid).mean()


test_bce = proofs(bce_loss, definition, Arguments((), IGNORED), {"ignore_label": IGNORED})


def loop(logits: list[float], target: list[float]) -> float:
    """The mean over all pixels, ignored ones too, as the specification writes it."""
    total = 0.0
    for x, t in zip(logits, target, strict=True):
        if t != IGNORED:
            p = 1 / (1 + math.exp(-x))
            total -= t * math.log(p) + (1 - t) * math.log(1 - p)
    return total / len(logits)


def test_values_of_the_loop() -> None:
    logits, target = samples()
    expected = [loop(numbers(x), numbers(t)) for x, t in zip(logits, target, strict=True)]
    assert bce_loss(logits, target, ignore_label=IGNORED).item() == pytest.approx(sum(expected) / 3, rel=1e-9)
    assert bce_loss(logits, target, "sum", ignore_label=IGNORED).item() == pytest.approx(40 * sum(expected), rel=1e-9)
    elements = bce_loss(logits, target, "none", ignore_label=IGNORED)
    assert numbers(elements.flatten(1).mean(1)) == pytest.approx(expected, rel=1e-9)


@given(logit=st.floats(-80, 80), target=st.floats(0, 1))
def test_one_pixel_is_the_formula(logit: float, target: float) -> None:
    softplus = math.log1p(math.exp(-abs(logit))) + max(-logit, 0)
    expected = target * softplus + (1 - target) * (softplus + logit)
    found = bce_loss(torch.tensor([logit], dtype=torch.float64), torch.tensor([target], dtype=torch.float64))
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtypes_and_reductions(reduction: str, dtype: torch.dtype) -> None:
    logits, target = torch.randn(2, 1, 5, 5).to(dtype), torch.rand(2, 1, 5, 5) > 0.5
    found = bce_loss(logits, target, reduction)  # type: ignore[arg-type]
    assert found.dtype == torch.float32
    expected = F.binary_cross_entropy_with_logits(logits.double(), target.double(), reduction=reduction)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_logits_of_any_size_are_right() -> None:
    logits = torch.tensor([-3e38, -1000.0, -100.0, 100.0, 1000.0, 3e38])
    wrong, right = (logits < 0).float(), (logits > 0).float()
    # Each logit is a sample of its own.
    assert [bce_loss(x[None], t[None]).item() for x, t in zip(logits, wrong, strict=True)] == pytest.approx(
        numbers(logits.abs())
    )
    assert numbers(bce_loss(logits, right, "none")) == pytest.approx([0] * 6, abs=1e-30)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_probabilities_of_0_and_1_are_as_in_pytorch(reduction: str) -> None:
    probabilities = torch.tensor([[0.0, 1.0, 0.0, 1.0, 0.25]], requires_grad=True)
    target = torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.5]])
    loss = bce_loss(probabilities, target, reduction, input="probabilities")  # type: ignore[arg-type]
    torch.testing.assert_close(loss, F.binary_cross_entropy(probabilities, target, reduction=reduction))
    (gradient,) = torch.autograd.grad(loss.sum(), probabilities)
    assert gradient.isfinite().all()
    if reduction == "mean":
        (expected,) = torch.autograd.grad(F.binary_cross_entropy(probabilities, target), probabilities)
        torch.testing.assert_close(gradient, expected)
