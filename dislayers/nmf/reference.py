"""Nonnegative factors by multiplicative updates, and their gradient in closed form, in plain PyTorch.

The closed form takes the factors transposed, coefficients (B, R, N) and bases (B, R, D): both are then updated by the
same function, and the factors of all steps, one below the other, are one long matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dislayers._runtime.layout import channels_side_by_side, stored_like

EPSILON = 1e-6


def nmf(x: Tensor, bases: Tensor, steps: int) -> Tensor:
    """The definition: x (B, D, N) and bases (B, D, R) -> (B, D, N)."""
    coefficients = (x.mT @ bases).softmax(-1)
    for _ in range(steps):
        coefficients = coefficients * (x.mT @ bases) / (coefficients @ (bases.mT @ bases) + EPSILON)
        bases = bases * (x @ coefficients) / (bases @ (coefficients.mT @ coefficients) + EPSILON)
    coefficients = coefficients * (x.mT @ bases) / (coefficients @ (bases.mT @ bases) + EPSILON)
    return bases @ coefficients.mT


def kept_by_step(x: Tensor, bases: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Room for what is kept of the steps, each with a square (R, R) beside (R, D), in float32 at least.

    The bases (B, steps + 1, R, D + R) with their Gram matrices, and what updates them, (B, steps, R, D + R): their
    numerators, with the Gram matrices of the coefficients.
    """
    batch, depth, rank = bases.shape
    dtype = torch.promote_types(torch.promote_types(x.dtype, bases.dtype), torch.float32)
    kept = torch.empty(batch, steps + 1, rank, depth + rank, dtype=dtype, device=x.device)
    return kept, kept.new_empty(batch, steps, rank, depth + rank)


def split(kept: Tensor) -> tuple[Tensor, Tensor]:
    """What is (..., R, D), and the Gram matrices (..., R, R) beside it."""
    rank = kept.shape[-2]
    return kept[..., :-rank], kept[..., -rank:]


def forward(x: Tensor, bases: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """The product of the factors, and what is kept: see :func:`kept_by_step`."""
    kept, sums = kept_by_step(x, bases, steps)
    with torch.autocast(x.device.type, enabled=False):
        matrix, basis = x.to(kept.dtype), bases.mT.to(kept.dtype)
        numerator = basis @ matrix
        coefficients = numerator.softmax(1)
        for step in range(steps):
            coefficients = _updated(coefficients, numerator, _keep(kept[:, step], basis, basis))
            gram = _keep(sums[:, step], coefficients @ matrix.mT, coefficients)
            basis = _updated(basis, split(sums[:, step])[0], gram)
            numerator = basis @ matrix
        coefficients = _updated(coefficients, numerator, _keep(kept[:, steps], basis, basis))
        return _products(x, (basis.mT, coefficients)), kept, sums


def backward(gradient: Tensor, x: Tensor, kept: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients with respect to x, and to the bases in the precision of ``kept``.

    Coefficients are computed anew: their numerators of all steps are one product with x. Each update adds an outer
    product to the gradient of x: those of all steps are one product of long factors.
    """
    with torch.autocast(x.device.type, enabled=False):
        matrix, outer = x.to(kept.dtype), gradient.to(kept.dtype)
        bases, grams = split(kept)
        shares = (bases.flatten(1, 2) @ matrix).view(*bases.shape[:3], x.shape[2])
        coefficients = _replayed(shares, grams)
        slopes = torch.empty_like(bases[:, 1:])
        d_coefficients, d_bases = bases[:, -1] @ outer, coefficients[:, -1] @ outer.mT
        for step in reversed(range(bases.shape[1])):
            basis, before = bases[:, step], coefficients[:, step]
            d_coefficients, share, d_gram = _update_backward(d_coefficients, before, shares[:, step], grams[:, step])
            if step == 0:
                share += before * (d_coefficients - (d_coefficients * before).sum(1, keepdim=True))
            shares[:, step] = share
            d_bases = d_bases + d_gram @ basis + share @ matrix.mT
            if step > 0:
                d_bases, slope, d_gram = _update_backward(d_bases, bases[:, step - 1], *split(sums[:, step - 1]))
                slopes[:, step - 1] = slope
                d_coefficients = d_coefficients + d_gram @ before + slope @ matrix
        return _products(
            x,
            (bases.flatten(1, 2).mT, shares.flatten(1, 2)),
            (slopes.flatten(1, 2).mT, coefficients[:, 1:-1].flatten(1, 2)),
        ), d_bases.mT.contiguous()


def _keep(place: Tensor, matrix: Tensor, factor: Tensor) -> Tensor:
    """Store a matrix and beside it the Gram matrix of a transposed factor, which is returned."""
    gram = factor @ factor.mT
    torch.cat([matrix, gram], -1, out=place)
    return gram


def _updated(factor: Tensor, numerator: Tensor, gram: Tensor) -> Tensor:
    """One multiplicative update of a transposed factor."""
    return (factor * numerator).div_((gram @ factor).add_(EPSILON))


def _update_backward(
    gradient: Tensor, factor: Tensor, numerator: Tensor, gram: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients with respect to the arguments of :func:`_updated`; that of the Gram matrix plus its transpose."""
    denominator = (gram @ factor).add_(EPSILON)
    quotient = gradient / denominator
    d_numerator = quotient * factor
    d_factor = quotient.mul_(numerator)
    d_denominator = (d_factor * factor).div_(denominator).neg_()
    d_gram = d_denominator @ factor.mT
    return d_factor + gram @ d_denominator, d_numerator, d_gram + d_gram.mT


def _replayed(numerators: Tensor, grams: Tensor) -> Tensor:
    """The coefficients (B, steps + 2, R, N) before and after each of their updates."""
    batch, updates, rank, pixels = numerators.shape
    coefficients = numerators.new_empty(batch, updates + 1, rank, pixels)
    coefficients[:, 0] = numerators[:, 0].softmax(1)
    for step in range(updates):
        coefficients[:, step + 1] = _updated(coefficients[:, step], numerators[:, step], grams[:, step])
    return coefficients


def _products(like: Tensor, *factors: tuple[Tensor, Tensor]) -> Tensor:
    """The sum of products of two factors each, with the dtype and strides of ``like``."""
    turned = channels_side_by_side(like)
    (left, right), *others = [(right.mT, left.mT) if turned else (left, right) for left, right in factors]
    total = left @ right
    for left, right in others:
        total.baddbmm_(left, right)
    return stored_like(total.mT if turned else total, like)
