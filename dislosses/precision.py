"""The precision in which losses are computed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dislayers._runtime.layout import bool_as_uint8


def dtype_of_losses(tensors: Sequence[Tensor]) -> torch.dtype:
    """That of the losses of several tensors: float64 if one of them is, else float32."""
    return torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32


def uint8_or_float32(target: Tensor) -> Tensor:
    """A target as compiled kernels read it: bool and uint8 as uint8, the rest in float32."""
    target = bool_as_uint8(target)
    return target if target.dtype == torch.uint8 else target.float()
