"""The distance of ``W W^T`` from the identity, and its closed form with the signs alone kept, in plain PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from dislayers._runtime.layout import dense_samples, flat_samples
from dislayers._runtime.precision import at_least_float32

# Rows of W that are multiplied at once by all rows not above them: ``W W^T`` is symmetric.
_PANEL = 128


def orthogonality(weights: Sequence[Tensor]) -> Tensor:
    """``sum |W W^T - I|`` for each weight (O, ...) as a matrix (O, K) -> (len(weights),)."""
    matrices = [at_least_float32(w).reshape(len(w), math.prod(w.shape[1:])) for w in weights]
    return torch.stack([(w @ w.T - torch.eye(len(w), dtype=w.dtype, device=w.device)).abs().sum() for w in matrices])


def matrix(weight: Tensor) -> Tensor:
    """A dense weight (O, ...) as (O, K), a view with K in the order of memory: any order has the same ``W W^T``."""
    return flat_samples(weight)


def sign_starts(rows: Iterable[int]) -> list[int]:
    """Where the signs (O, O) of each weight start in the one tensor of all, at multiples of 16, and where it ends."""
    return list(accumulate(((count * count + 15) // 16 * 16 for count in rows), initial=0))


def forward(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The losses, and the signs of ``W W^T - I`` of all weights, one after the other, int8."""
    sign = torch.zeros(sign_starts(map(len, weights))[-1], dtype=torch.int8, device=weights[0].device)
    with torch.autocast(sign.device.type, enabled=False):
        losses = [
            _sum(at_least_float32(matrix(dense_samples(w))), square)
            for w, square in zip(weights, _squares(sign, weights), strict=True)
        ]
    return torch.stack(losses), sign


def _sum(matrix: Tensor, sign: Tensor) -> Tensor:
    """``sum |W W^T - I|`` of one matrix, its signs written to ``sign``."""
    total = matrix.new_zeros(())
    for start in range(0, len(matrix), _PANEL):
        rows = matrix[start : start + _PANEL]
        panel = rows @ matrix[start:].T
        panel.diagonal().sub_(1)
        signs = panel.gt(0).view(torch.int8) - panel.lt(0).view(torch.int8)
        sign[start : start + len(rows), start:] = signs
        sign[start + len(rows) :, start : start + len(rows)] = signs[:, len(rows) :].T
        sums = panel.abs_().sum(0)
        total += sums[: len(rows)].sum() + 2 * sums[len(rows) :].sum()
    return total


def backward(gradient: Tensor, sign: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
    """Gradients with respect to the weights, for a gradient (len(weights),) of the losses.

    ``dL/dW = (S + S^T) W = 2 S W`` with the symmetric ``S = sign(W W^T - I)``.
    """
    with torch.autocast(sign.device.type, enabled=False):
        return [
            _scaled_product(square.to(gradient.dtype).mul_(scale), dense_samples(w))
            for w, square, scale in zip(weights, _squares(sign, weights), 2 * gradient, strict=True)
        ]


def _scaled_product(square: Tensor, weight: Tensor) -> Tensor:
    """``square W`` in the weight's shape, layout and dtype."""
    result = torch.empty_like(weight)
    matrix(result).copy_(square @ matrix(weight).to(square.dtype))
    return result


def _squares(sign: Tensor, weights: Sequence[Tensor]) -> Iterator[Tensor]:
    for start, weight in zip(sign_starts(map(len, weights)), weights, strict=False):
        yield sign[start : start + len(weight) ** 2].view(len(weight), len(weight))
