"""The losses are their definitions, in value and gradient, and refuse what they cannot take."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dislosses import DeepSupervisionLoss, bce_loss, deep_supervision_loss


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
    with pytest.raises(ValueError, match="at least one side output"):
        deep_supervision_loss([], target)
    with pytest.raises(ValueError, match="expected 1, got 2"):
        deep_supervision_loss([side], target, weights=(1, 1))
