"""Layouts that kernels take as they are, and copies of the rest; used alike by implementations and fakes."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

_LONGEST_STRIDE = 1 << 24


def image_planes(tensor: Tensor) -> Tensor:
    """(..., H, W) as (B, H, W) with unit stride along W: a view where there is one, else a copy."""
    planes = tensor.reshape(math.prod(tensor.shape[:-2]), *tensor.shape[-2:])
    return planes if planes.stride(-1) == 1 else planes.contiguous()


def fill_planes(mask: Tensor, compute: Callable[[Tensor, Tensor], None]) -> Tensor:
    """A bool mask of a mask's shape and layout, made by ``compute(planes, out)``.

    Both are (B, H, W) and not empty; the columns of planes lie side by side, and out, to be filled, is contiguous.
    """
    result = torch.empty_like(mask, dtype=torch.bool)
    if mask.numel() == 0:
        return result
    planes = image_planes(mask)
    out = result if result.is_contiguous() else torch.empty(planes.shape, dtype=torch.bool, device=mask.device)
    compute(planes, out.view(planes.shape))
    return result if out is result else result.copy_(out.view(mask.shape))


def bool_as_uint8(tensor: Tensor) -> Tensor:
    """A bool tensor as uint8, a view; any other as it is."""
    return tensor.view(torch.uint8) if tensor.dtype == torch.bool else tensor


def dense_samples(tensor: Tensor) -> Tensor:
    """A tensor (B, ...) of which each sample fills one stretch of memory: itself, else a copy.

    Any order of the inner dimensions will do, so channels_last stays as it is; samples may lie apart.
    """
    expected = 1
    for stride, size in sorted(zip(tensor.stride()[1:], tensor.shape[1:], strict=True)):
        if size != 1 and stride != expected:
            return tensor.contiguous()
        expected *= size
    apart = tensor.shape[0] <= 1 or tensor.stride(0) >= expected
    return tensor if apart else tensor.contiguous()


def flat_samples(tensor: Tensor) -> Tensor:
    """The dense samples of a tensor (B, ...) in the order of memory, as a view (B, N)."""
    return tensor.as_strided((tensor.shape[0], math.prod(tensor.shape[1:])), (tensor.stride(0), 1))


def same_layout(tensor: Tensor, like: Tensor) -> Tensor:
    """The tensor with the inner strides of ``like``, which has its shape: itself, else a copy."""
    if all(a == b or n == 1 for a, b, n in zip(tensor.stride()[1:], like.stride()[1:], like.shape[1:], strict=True)):
        return tensor
    return torch.empty_like(like, dtype=tensor.dtype).copy_(tensor)


def strides_fit(*maps: Tensor) -> bool:
    """Whether kernels reach all of a tile, at most 127 steps along a dimension but the batch's, with 32-bit offsets."""
    return all(stride <= _LONGEST_STRIDE for map_ in maps for stride in map_.stride()[1:])


def float32_map(tensor: Tensor) -> Tensor:
    """A feature map (B, C, H, W) in float32 with its channels or its columns side by side: itself, else a copy."""
    exact = tensor.float()
    return exact if _side_by_side(exact) else exact.contiguous()


def float32_room(result: Tensor) -> Tensor:
    """Where a kernel writes a result in float32: the result itself if it can, else room to copy from."""
    direct = result.dtype == torch.float32 and _side_by_side(result)
    return result if direct else torch.empty(result.shape, dtype=torch.float32)


def address_and_strides(tensor: Tensor) -> tuple[int, tuple[int, ...]]:
    """A feature map as compiled kernels take it."""
    return tensor.data_ptr(), _strides(tensor)


def _side_by_side(tensor: Tensor) -> bool:
    return 1 in _strides(tensor)[1::2]


def _strides(tensor: Tensor) -> tuple[int, ...]:
    """Those of a dimension of 1 may be any number; here they are 1, but for the batch's."""
    if 1 not in tensor.shape[1:]:
        return tensor.stride()
    return tuple(1 if size == 1 else stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
