"""Gate, upsampling and concatenation of a decoder level in plain PyTorch, every patch alone, and their gradient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from dislayers.patch_local.patches import by_patch, by_patch_of


def room(g: Tensor, x: Tensor, grid: Sequence[int]) -> Tensor:
    """What the op gives, not filled: a dense sample for each patch, its channels side by side if those of g are."""
    (batch, channels, height, width), (rows, columns) = x.shape, grid
    return torch.empty(
        (batch * rows * columns, g.shape[1] + channels, height // rows, width // columns),
        dtype=torch.promote_types(g.dtype, x.dtype),
        device=x.device,
        memory_format=torch.channels_last if channels_side_by_side(g) else torch.contiguous_format,
    )


def channels_side_by_side(x: Tensor) -> bool:
    """Whether a pixel's channels are neighbours in memory."""
    return x.stride(1) == 1 and not x.is_contiguous()


def patch_local(
    g: Tensor, x: Tensor, gate_g: Tensor, gate_x: Tensor, psi_weight: Tensor, psi_bias: Tensor, grid: Sequence[int]
) -> Tensor:
    """``cat(upsample(g), x * upsample(attention))`` of every patch: (B rows columns, C + D, 2 h, 2 w)."""
    last, dtype = channels_side_by_side(g), torch.promote_types(g.dtype, x.dtype)
    skip = by_patch(x, grid)
    size = [side // 2 for side in skip.shape[4:]]
    attention = _attention(_gates(gate_g, gate_x, grid, size), psi_weight, psi_bias)
    upsampled = _upsample(_samples(by_patch_of(_exact(g), grid, size), last))
    weighted = skip * _upsample(attention.flatten(0, 2)).view(*skip.shape[:3], 1, *skip.shape[4:])
    parts = [upsampled.to(dtype).view(*skip.shape[:3], -1, *skip.shape[4:]), weighted.to(dtype)]
    if last:
        return torch.cat([part.movedim(3, 5) for part in parts], 5).flatten(0, 2).movedim(3, 1)
    return torch.cat(parts, 3).flatten(0, 2)


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
    skip = by_patch(_exact(x), grid)
    size = [side // 2 for side in skip.shape[4:]]
    gates = _gates(gate_g, gate_x, grid, size)
    attention = _attention(gates, psi_weight, psi_bias)
    patches = gradient.unflatten(0, skip.shape[:3])
    of_g, of_weighted = _exact(patches).split([g.shape[1], x.shape[1]], 3)
    up = _upsample(attention.flatten(0, 2)).view(*skip.shape[:3], 1, *skip.shape[4:])
    d_attention = _gather((of_weighted * skip).sum(3, keepdim=True).flatten(0, 2)).view(attention.shape)
    d_score = d_attention * attention * (1 - attention)
    d_gates = (d_score * psi_weight.to(gates).view(-1, 1, 1)).masked_fill(gates <= 0, 0)
    results = [torch.empty_like(each) for each in (g, x, gate_g, gate_x)]
    gathered = _gather(_samples(of_g, channels_side_by_side(g))).view(*skip.shape[:3], -1, *size)
    for result, value in zip(results, (gathered, of_weighted * up, d_gates, d_gates), strict=True):
        by_patch_of(result, grid, value.shape[4:]).copy_(value)
    d_weight = (d_score * gates.relu()).sum((0, 1, 2, 4, 5)).to(psi_weight.dtype).view(psi_weight.shape)
    return *results, d_weight, d_score.sum().to(psi_bias.dtype).view(psi_bias.shape)


def _exact(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _gates(gate_g: Tensor, gate_x: Tensor, grid: Sequence[int], size: Sequence[int]) -> Tensor:
    """Their sum, by patch."""
    return by_patch_of(_exact(gate_g), grid, size) + by_patch(_exact(gate_x), grid)


def _attention(gates: Tensor, psi_weight: Tensor, psi_bias: Tensor) -> Tensor:
    """By patch, of one channel; no product of matrices, which autocast would round."""
    score = (gates.relu() * psi_weight.to(gates).view(-1, 1, 1)).sum(3, keepdim=True)
    return (score + psi_bias.to(gates)).sigmoid()


def _samples(patches: Tensor, last: bool) -> Tensor:
    """(B, rows, columns, C, h, w) as (B rows columns, C, h, w), dense, with channels side by side or not."""
    return patches.movedim(3, 5).flatten(0, 2).movedim(3, 1) if last else patches.flatten(0, 2)


def _upsample(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _gather(gradient: Tensor) -> Tensor:
    """The adjoint of the upsampling."""
    *samples, height, width = gradient.shape
    result: Tensor = torch.ops.aten.upsample_bilinear2d_backward(
        gradient, [height, width], [*samples, height // 2, width // 2], False
    )
    return result
