"""What the official IS-Net code computes: cross entropy of probabilities, summed over side outputs of any size."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dislosses import bce_loss
from tests.dislosses.pixels import numbers
from tests.dismodels.filled_weights import blob, uniform

SIZES = ((64, 48), (64, 48), (32, 24), (64, 48), (16, 12), (5, 7))


def between(name: str, shape: tuple[int, ...], least: float, most: float) -> Tensor:
    values = uniform(f"input:{name}", shape, 101)
    return torch.from_numpy(np.float32(least) + np.float32(most - least) * values)


def sides() -> tuple[list[Tensor], list[Tensor]]:
    """Probabilities, and the target of each: resized with align_corners=True where sizes differ."""
    target = between("target", (2, 1, 64, 48), 0, 1)
    predictions = [between(f"pred{i}", (2, 1, *size), 0.001, 0.999) for i, size in enumerate(SIZES)]
    targets = [
        target if size == SIZES[0] else F.interpolate(target, size, mode="bilinear", align_corners=True)
        for size in SIZES
    ]
    return [prediction.requires_grad_() for prediction in predictions], targets


def total(predictions: list[Tensor], targets: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The first side output's loss, and the sum of all."""
    losses = [bce_loss(p, t, input="probabilities") for p, t in zip(predictions, targets, strict=True)]
    return losses[0], torch.stack(losses).sum()


def test_losses_of_side_outputs() -> None:
    first, loss = total(*sides())
    # Made once by the official code, of the inputs above.
    assert (first.item(), loss.item()) == pytest.approx((1.0074776411, 5.9979419708), rel=1e-6)


def test_gradients_are_those_of_pytorch() -> None:
    predictions, targets = sides()
    gradients = torch.autograd.grad(total(predictions, targets)[1], predictions)
    plain = torch.stack([F.binary_cross_entropy(p, t) for p, t in zip(predictions, targets, strict=True)]).sum()
    torch.testing.assert_close(gradients, torch.autograd.grad(plain, predictions), rtol=1e-5, atol=1e-9)


def test_certain_probabilities() -> None:
    target = torch.from_numpy(blob(8, 101)).float()[None, None]
    losses = total([torch.zeros_like(target), torch.ones_like(target)], [target, target])
    assert [numbers(loss)[0] for loss in losses] == [70.3125, 100]
