"""Gate, upsampling and concatenation of a decoder level in plain PyTorch, every patch alone, and their gradient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from dislayers._runtime.layout import channels_side_by_side, format_of
from dislayers._runtime.precision import at_least_float32
from dislayers.patch_local.patches import by_patch, by_patch_of


def room(g: Tensor, x: Tensor, grid: Sequence[int]) -> Tensor:
    """What the op gives, not filled: a dense sample for each patch, its channels side by side if those of g are."""
    (batch, channels, height, width), (rows, columns) = x.shape, grid
    return torch.empty(
        (batch * rows * columns, g.shape[1] + channels, height // rows, width // columns),
        dtype=torch.promote_types(g.dtype, x.dtype),
        device=x.device,
        memory_format=format_of(g),
    )


def patch_local(
    g: Tensor, x: Tensor, gate_g: Tensor, gate_x: Tensor, psi_weight: Tensor, psi_bias: Tensor, grid: Sequence[int]
) -> Tensor:
    """``cat(upsample(g), x * upsample(attention))`` of every patch: (B rows columns, C + D, 2 h, 2 w)."""
    last, skip, result = channels_side_by_side(g), by_patch(x, grid), room(g, x, grid)
    size = [side // 2 for side in skip.shape[4:]]
    attention = _attention(_gates(gate_g, gate_x, grid, size), psi_weight, psi_bias)
    channels, patches = g.shape[1], _cut(result, skip.shape)
    patches[:, :, :, :channels] = _upsample(by_patch_of(at_least_float32(g), grid, size), last)
    patches[:, :, :, channels:] = skip * _upsample(attention, last)
    return result


def backward(
    gradient: Tensor,
    g: Tensor,
    x: Tensor,
    gate_g: Tensor,
    gate_x: Tensor,
    psi_weight: Tensor,
    psi_bias: Tensor,
    grid: Sequence[int],
) -> tuple[Tensor, ...]:
    """The gradients of all tensors but the first, of which only the attention is computed anew."""
    last, skip = channels_side_by_side(g), by_patch(at_least_float32(x), grid)
    size = [side // 2 for side in skip.shape[4:]]
    gates = _gates(gate_g, gate_x, grid, size)
    attention = _attention(gates, psi_weight, psi_bias)
    d_upsampled, d_weighted = torch.split(_cut(at_least_float32(gradient), skip.shape), [g.shape[1], x.shape[1]], 3)
    d_attention = _gather((d_weighted * skip).sum(3, keepdim=True), last)
    d_score = d_attention * attention * (1 - attention)
    d_gates = torch.where(gates <= 0, 0, d_score * psi_weight.to(gates).view(-1, 1, 1))
    d_g, d_x, d_gate_g, d_gate_x = map(torch.empty_like, (g, x, gate_g, gate_x))
    torch.mul(d_weighted, _upsample(attention, last), out=by_patch(d_x, grid))
    for result, value in ((d_g, _gather(d_upsampled, last)), (d_gate_g, d_gates), (d_gate_x, d_gates)):
        by_patch_of(result, grid, size).copy_(value)
    d_weight = (d_score * gates.relu()).sum((0, 1, 2, 4, 5)).to(psi_weight.dtype).view(psi_weight.shape)
    d_bias = d_score.sum().to(psi_bias.dtype).view(psi_bias.shape)
    return d_g, d_x, d_gate_g, d_gate_x, d_weight, d_bias


def _gates(gate_g: Tensor, gate_x: Tensor, grid: Sequence[int], size: Sequence[int]) -> Tensor:
    """Their sum, by patch."""
    return by_patch_of(at_least_float32(gate_g), grid, size) + by_patch(at_least_float32(gate_x), grid)


def _attention(gates: Tensor, psi_weight: Tensor, psi_bias: Tensor) -> Tensor:
    """By patch, of one channel; no product of matrices, which autocast would round."""
    score = (gates.relu() * psi_weight.to(gates).view(-1, 1, 1)).sum(3, keepdim=True)
    return (score + psi_bias.to(gates)).sigmoid()


def _samples(patches: Tensor, last: bool) -> Tensor:
    """(B, rows, columns, C, h, w) as (B rows columns, C, h, w), dense, with channels side by side or not."""
    return patches.movedim(3, 5).flatten(0, 2).movedim(3, 1) if last else patches.flatten(0, 2)


def _cut(samples: Tensor, shape: Sequence[int]) -> Tensor:
    """(B rows columns, C, h, w) as (B, rows, columns, C, h, w), for a shape that begins so."""
    return samples.view(*shape[:3], *samples.shape[1:])


def _upsample(patches: Tensor, last: bool) -> Tensor:
    """Twice the size, every patch alone."""
    doubled = interpolate(_samples(patches, last), scale_factor=2, mode="bilinear", align_corners=False)
    return _cut(doubled, patches.shape)


def _gather(gradient: Tensor, last: bool) -> Tensor:
    """The adjoint of the upsampling."""
    return _cut(_halve(_halve(_samples(gradient, last), 2), 3), gradient.shape)


def _halve(doubled: Tensor, dim: int) -> Tensor:
    """Along one dimension: ``0.25, 0.75, 0.75, 0.25`` of four neighbours, those beyond the edge being the edge."""
    even, odd = doubled.unfold(dim, 2, 2).unbind(-1)
    inner = odd.shape[dim] - 1
    result = (even + odd).mul_(0.75)
    for outer, start, to, count in ((odd, 0, 1, inner), (even, 1, 0, inner), (even, 0, 0, 1), (odd, inner, inner, 1)):
        result.narrow(dim, to, count).add_(outer.narrow(dim, start, count), alpha=0.25)
    return result
