"""The Laplacian boundary loss of each sample, and its closed form for where no kernel runs, in plain PyTorch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dislayers._runtime.precision import at_least_float32

EPSILON = 1e-7


def laplacian_boundary(logits: Tensor, target: Tensor, edge: str, kernel: int, input: str) -> Tensor:
    """``BCE(D(p), D(target))``, averaged over each sample: (B, ..., H, W) -> (B,)."""
    probability = _probability(logits, input)
    found = edges(laplacian(probability, kernel), edge).clamp(EPSILON, 1 - EPSILON)
    wanted = edges(laplacian(target.to(probability.dtype), kernel), edge)
    return -(wanted * found.log() + (1 - wanted) * (-found).log1p()).flatten(1).mean(1)


def laplacian(planes: Tensor, kernel: int) -> Tensor:
    """The convolution with -1 around 8, or around 4 in a cross; zeros lie outside.

    By second differences: exactly 0 where a plane is flat, which a sum of nine rounded products is not.
    """
    across = _second_difference(planes, -1)
    both = across + _second_difference(planes, -2)
    return both if kernel == 4 else 3 * both - _second_difference(across, -2)


def _second_difference(planes: Tensor, dim: int) -> Tensor:
    """``2 f - before - after`` along a dimension."""
    ends = (1, 1) if dim == -1 else (0, 0, 1, 1)
    steps = F.pad(planes, ends).diff(dim=dim)
    return -steps.diff(dim=dim)


def edges(convolved: Tensor, edge: str) -> Tensor:
    """``D``: |tanh|, or its positive part."""
    return convolved.tanh().abs() if edge == "abs" else convolved.tanh().relu()


def _probability(logits: Tensor, input: str) -> Tensor:
    values = at_least_float32(logits)
    return values.sigmoid() if input == "logits" else values


def backward(gradient: Tensor, logits: Tensor, target: Tensor, edge: str, kernel: int, input: str) -> Tensor:
    """Gradient with respect to logits, or to probabilities if those are the input, for a gradient (B,) of the losses.

    With ``c`` the convolution, ``tanh' = 1 - D^2`` and the derivative of BCE make
    ``e = dL/dc = sign(c) (1 + D) (1 - t / D)``; ``e = 0`` where ``D`` is clipped. The kernel is its own mirror image,
    so ``dL/dp`` is the convolution of ``e``.
    """
    probability = _probability(logits, input)
    convolved = laplacian(probability, kernel)
    found = edges(convolved, edge)
    wanted = edges(laplacian(target.to(probability.dtype), kernel), edge)
    by_convolution = convolved.sign() * (1 + found) * (1 - wanted / found)
    by_convolution = by_convolution.masked_fill((found < EPSILON) | (found > 1 - EPSILON), 0)
    result = laplacian(by_convolution, kernel)
    if input == "logits":
        result = result * probability * (1 - probability)
    scale = gradient.to(result.dtype) / max(logits[0].numel() if len(logits) else 0, 1)
    return torch.empty_like(logits).copy_(result * scale.view(-1, *[1] * (logits.ndim - 1)))
