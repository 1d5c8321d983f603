"""The precision in which ops compute."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(tensor: Tensor) -> Tensor:
    """The tensor in float32 if it is bool, integer or half precision; float32 and float64 as they are."""
    return exact(tensor, tensor)


def exact(tensor: Tensor, x: Tensor) -> Tensor:
    """The tensor in the precision that x is computed in: float64 if x is float64, else float32."""
    return tensor.to(torch.promote_types(x.dtype, torch.float32))


def precision_of_products(x: Tensor) -> str:
    """What Triton multiplies matrices of x's dtype in.

    Half precision is exact in TF32. Float32 needs three products of TF32, unless PyTorch's setting allows a single one.
    """
    return "tf32x3" if x.dtype == torch.float32 and torch.get_float32_matmul_precision() == "highest" else "tf32"
