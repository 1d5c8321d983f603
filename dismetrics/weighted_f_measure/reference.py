"""The definition of the weighted F-measure, in plain PyTorch."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from dislayers.distance_transform.reference import distance_transform_indices
from dismetrics.pairs import EPSILON

_RADIUS, _SIGMA = 3, 5.0


def weighted_f_measure(pred: Tensor, gt: Tensor, limits: Tensor, beta_squared: float) -> Tensor:
    """Errors of all pixels, those of the foreground blurred, those of the background weighted by distance.

    The limits, float64 (..., 2), enclose the values of each image and become 0 and 1; equal ones change nothing.
    """
    if pred.numel() == 0:
        return pred.new_zeros(pred.shape[:-2], dtype=torch.float64)
    truth = gt != 0
    error = (_normalized(pred, limits) - truth.double()).abs()
    index = distance_transform_indices(~truth)[1].clamp(min=0)
    # A background pixel takes the error of its nearest foreground pixel, so that the edge is not blurred across.
    nearest = error.flatten(-2).gather(-1, index.flatten(-2)).view_as(error)
    missed = (torch.minimum(error, _blurred(nearest)) * truth).sum((-2, -1))
    false = (error * (2 - torch.exp(math.log(0.5) / 5 * _distance(index))) * ~truth).sum((-2, -1))
    foreground = truth.sum((-2, -1))
    true = foreground - missed
    recall, precision = true / foreground, true / (true + false + EPSILON)
    score = (1 + beta_squared) * recall * precision / (recall + beta_squared * precision + EPSILON)
    return torch.where(foreground > 0, score, 0)


def _normalized(pred: Tensor, limits: Tensor) -> Tensor:
    most = 255 if pred.dtype == torch.uint8 else 1
    values, (low, high) = pred.double() / most, (limits / most)[..., None, None].unbind(-3)
    return torch.where(high > low, (values - low) / (high - low), values)


def _distance(index: Tensor) -> Tensor:
    """Of each pixel to that at an index, in float64."""
    height, width = index.shape[-2:]
    row, column = torch.arange(height, device=index.device)[:, None], torch.arange(width, device=index.device)
    return ((index // width - row).square() + (index % width - column).square()).double().sqrt()


def _blurred(image: Tensor) -> Tensor:
    """By a gaussian, rows and columns in turn; outside the image there is nothing."""
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, dtype=image.dtype, device=image.device)
    gaussian = torch.exp(-offsets.square() / (2 * _SIGMA**2))
    weights = (gaussian / gaussian.sum()).tolist()
    for dim in (-2, -1):
        padded = pad(image, (_RADIUS, _RADIUS) if dim == -1 else (0, 0, _RADIUS, _RADIUS))
        image = torch.stack([w * padded.narrow(dim, i, image.shape[dim]) for i, w in enumerate(weights)]).sum(0)
    return image
