"""The IoU loss: every proof of an op, and its definition as a loop in float64."""

import pytest
import torch
from torch import Tensor

from dislosses import iou_loss
from dislosses._pixel_loss.formula import Arguments
from tests.dislosses.pixels import IGNORED, numbers, proofs, samples


def definition(logits: Tensor, target: Tensor, reduction: str, ignore_label: float) -> Tensor:
    valid = target != ignore_label
    p, t = logits.sigmoid() * valid, target * valid
    intersection, union = (p * t).sum((2, 3)), (p + t - p * t).sum((2, 3))
    return 1 - (intersection + 1) / (union + 1)


test_iou = proofs(
    iou_loss, definition, Arguments((), IGNORED), {"reduction": "none", "ignore_label": IGNORED}, planes=True
)


def loop(probabilities: list[float], target: list[float]) -> float:
    """One plane as the specification writes it."""
    intersection = union = 0.0
    for p, t in zip(probabilities, target, strict=True):
        if t != IGNORED:
            intersection += p * t
            union += p + t - p * t
    return 1 - (intersection + 1) / (union + 1)


def test_values_of_the_loop() -> None:
    logits, target = samples()
    planes = zip(logits.sigmoid().flatten(0, 1), target.flatten(0, 1), strict=True)
    expected = [loop(numbers(p), numbers(t)) for p, t in planes]
    losses = iou_loss(logits, target, "none", ignore_label=IGNORED)
    assert losses.shape == (3, 2)
    assert numbers(losses) == pytest.approx(expected, rel=1e-12)
    assert numbers(losses[2]) == [0, 0]
    assert iou_loss(logits, target, ignore_label=IGNORED).item() == pytest.approx(sum(expected) / 6, rel=1e-12)
    assert iou_loss(logits, target, "sum", ignore_label=IGNORED).item() == pytest.approx(sum(expected), rel=1e-12)


@pytest.mark.parametrize("shape", [(4,), (4, 6), (4, 3, 5)])
def test_without_channels_there_is_one_value_a_sample(shape: tuple[int, ...]) -> None:
    logits, target = torch.randn(shape, dtype=torch.float64), torch.rand(shape, dtype=torch.float64)
    expected = [loop(numbers(p), numbers(t)) for p, t in zip(logits.sigmoid(), target, strict=True)]
    assert numbers(iou_loss(logits, target, "none")) == pytest.approx(expected, rel=1e-12)


def test_infinite_logits_are_certain() -> None:
    logits = torch.tensor([[[[-torch.inf, torch.inf, torch.inf]]]], requires_grad=True)
    loss = iou_loss(logits, torch.tensor([[[[0.0, 1.0, 0.0]]]]))
    assert loss.item() == pytest.approx(1 - 2 / 3)
    assert numbers(torch.autograd.grad(loss, logits)[0]) == [0, 0, 0]
