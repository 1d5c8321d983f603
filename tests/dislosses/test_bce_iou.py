"""The mixed loss of DIS-SAM: every proof of an op, and its definition as a loop in float64."""

import pytest
import torch
from torch import Tensor

from dislosses import bce_iou_loss, bce_loss, iou_loss
from dislosses._pixel_loss.formula import Arguments
from tests.dislosses import test_bce, test_iou
from tests.dislosses.pixels import IGNORED, numbers, proofs, samples


def definition(logits: Tensor, target: Tensor, ignore_label: float, **weights: float) -> Tensor:
    iou = test_iou.definition(logits, target, "none", ignore_label)
    return (
        weights["bce_weight"] * test_bce.definition(logits, target, ignore_label) + weights["iou_weight"] * iou.mean()
    )


test_bce_iou = proofs(
    bce_iou_loss,
    definition,
    Arguments((3.0, 0.25), IGNORED),
    {"bce_weight": 3, "iou_weight": 0.25, "ignore_label": IGNORED},
    planes=True,
)


def test_values_of_the_loop() -> None:
    logits, target = samples()
    planes = list(zip(logits.flatten(0, 1), target.flatten(0, 1), strict=True))
    cross_entropy = [test_bce.loop(numbers(x), numbers(t)) for x, t in planes]
    iou = [test_iou.loop(numbers(x.sigmoid()), numbers(t)) for x, t in planes]
    expected = [20 * a + 0.5 * b for a, b in zip(cross_entropy, iou, strict=True)]
    losses = bce_iou_loss(logits, target, reduction="none", ignore_label=IGNORED)
    assert losses.shape == (3, 2)
    assert numbers(losses) == pytest.approx(expected, rel=1e-9)
    assert bce_iou_loss(logits, target, ignore_label=IGNORED).item() == pytest.approx(sum(expected) / 6, rel=1e-9)


@pytest.mark.parametrize("input", ["logits", "probabilities"])
def test_it_is_both_losses(input: str) -> None:
    logits, target = torch.randn(2, 3, 6, 5), torch.rand(2, 3, 6, 5)
    logits = (logits if input == "logits" else logits.sigmoid()).requires_grad_()
    mixed = bce_iou_loss(logits, target, 2, 3, input=input)  # type: ignore[arg-type]
    apart = 2 * bce_loss(logits, target, input=input) + 3 * iou_loss(logits, target, input=input)  # type: ignore[arg-type]
    torch.testing.assert_close(mixed, apart)
    torch.testing.assert_close(torch.autograd.grad(mixed, logits), torch.autograd.grad(apart, logits))


def test_weights_are_not_negative() -> None:
    with pytest.raises(ValueError, match=r"iou_weight must be in \[0, inf\], got -1"):
        bce_iou_loss(torch.zeros(1, 1), torch.zeros(1, 1), iou_weight=-1)
