"""The losses are their definitions, in value and gradient, and refuse what they cannot take."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dislosses import BCELoss, DeepSupervisionLoss, bce_loss, deep_supervision_loss


@given(logit=st.floats(-80, 80), target=st.floats(0, 1))
def test_bce_is_its_formula(logit: float, target: float) -> None:
    softplus = math.log1p(math.exp(-abs(logit))) + max(-logit, 0)
    expected = target * softplus + (1 - target) * (softplus + logit)
    found = bce_loss(torch.tensor([logit], dtype=torch.float64), torch.tensor([target], dtype=torch.float64))
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_bce_equals_the_official_loss_of_probabilities() -> None:
    logits, target = torch.randn(2, 1, 9, 7) * 4, torch.rand(2, 1, 9, 7)
    torch.testing.assert_close(bce_loss(logits, target), F.binary_cross_entropy(logits.sigmoid(), target))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_bce_dtypes_and_reductions(reduction: str, dtype: torch.dtype) -> None:
    logits, target = torch.randn(2, 1, 5, 5).to(dtype), torch.rand(2, 1, 5, 5) > 0.5
    found = BCELoss(reduction)(logits, target)
    assert found.dtype == torch.float32
    expected = F.binary_cross_entropy_with_logits(logits.double(), target.double(), reduction=reduction)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_bce_gradient() -> None:
    logits = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    target = torch.rand(2, 1, 3, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: bce_loss(x, target), (logits,))


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 9), width=st.integers(1, 9))
def test_deep_supervision_upsamples_every_side(height: int, width: int) -> None:
    target = torch.rand(2, 1, 9, 8)
    sides = [torch.randn(2, 1, 9, 8), torch.randn(2, 1, height, width)]
    upsampled = F.interpolate(sides[1], size=(9, 8), mode="bilinear", align_corners=False)
    expected = torch.stack([bce_loss(sides[0], target), bce_loss(upsampled, target)])
    torch.testing.assert_close(deep_supervision_loss(sides, target, reduction="none"), expected)
    torch.testing.assert_close(DeepSupervisionLoss(weights=(1, 0.5))(sides, target), expected[0] + expected[1] / 2)


def test_deep_supervision_gradient() -> None:
    sides = [torch.randn(1, 1, s, s, dtype=torch.float64, requires_grad=True) for s in (4, 2, 1)]
    target = torch.rand(1, 1, 6, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *s: deep_supervision_loss(s, target), tuple(sides))


def test_losses_compile_whole() -> None:
    sides, target = [torch.randn(1, 1, 8, 8), torch.randn(1, 1, 4, 4)], torch.rand(1, 1, 8, 8)
    compiled = torch.compile(deep_supervision_loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(sides, target), deep_supervision_loss(sides, target))


def test_bad_input_is_named() -> None:
    side, target = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match=r"target must have the shape .*\(1, 1, 4, 5\)"):
        bce_loss(side, torch.zeros(1, 1, 4, 5))
    with pytest.raises(TypeError, match=r"target must be a bool, integer or floating tensor, got complex64"):
        bce_loss(side, target.to(torch.complex64))
    with pytest.raises(ValueError, match="reduction must be"):
        bce_loss(side, target, "average")
    with pytest.raises(ValueError, match="at least one side output"):
        deep_supervision_loss([], target)
    with pytest.raises(ValueError, match="expected 1, got 2"):
        deep_supervision_loss([side], target, weights=(1, 1))
