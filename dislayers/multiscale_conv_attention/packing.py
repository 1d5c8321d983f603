"""The parameters as compiled kernels have them: those of a channel side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor


def in_order(weight: Tensor, bias: Tensor, strips: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The parameters as the kernel has them: the square, then strip by strip."""
    return [weight, bias, *(part for strip in zip(*strips, strict=True) for part in strip)]


def packed(weight: Tensor, bias: Tensor, strips: Sequence[Sequence[Tensor]]) -> Tensor:
    """All parameters of a channel side by side, in float32."""
    return torch.cat([part.reshape(len(bias), -1).float() for part in in_order(weight, bias, strips)], 1)


def unpacked(packed: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """The columns of ``packed`` in the layouts of the parameters."""
    columns = packed.tensor_split(list(accumulate(part[0].numel() for part in parameters[:-1])), 1)
    return [torch.empty_like(p).copy_(c.view(p.shape)) for p, c in zip(parameters, columns, strict=True)]


def sizes_of(weight: Tensor, rows: Sequence[Tensor]) -> list[int]:
    """Of the square, then of the strips."""
    return [weight.shape[-1], *(row.shape[-1] for row in rows)]
