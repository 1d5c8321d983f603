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


def channels_side_by_side(tensor: Tensor) -> bool:
    """Whether the channels of a map (B, C, ...) lie closer together than its pixels, as in channels_last."""
    return tensor.stride(1) < min(tensor.stride()[2:])


def format_of(tensor: Tensor) -> torch.memory_format:
    """channels_last for a map (B, C, H, W) whose channels lie side by side, else contiguous."""
    return torch.channels_last if channels_side_by_side(tensor) else torch.contiguous_format


def stored_like(result: Tensor, like: Tensor) -> Tensor:
    """A result with the dtype and layout of ``like``, as ``empty_like`` gives them: itself, else a copy."""
    expected = torch.empty_like(like)
    same = (result.dtype, result.stride()) == (expected.dtype, expected.stride())
    return result if same else expected.copy_(result)


def strides_fit(*maps: Tensor) -> bool:
    """Whether kernels reach all of a tile, at most 127 steps along a dimension but the batch's, with 32-bit offsets."""
    return all(stride <= _LONGEST_STRIDE for map_ in maps for stride in map_.stride()[1:])


def float32_map(tensor: Tensor, memory_format: torch.memory_format | None = None) -> Tensor:
    """A feature map (B, C, H, W) in float32, laid out as compiled kernels read it: itself, else a copy.

    Its channels lie side by side if the format is channels_last, its columns if it is contiguous; without a format,
    either will do.
    """
    result = tensor.float()
    if _lies_in(memory_format, result):
        return result
    return result.contiguous(memory_format=memory_format or torch.contiguous_format)


def float32_room(result: Tensor, memory_format: torch.memory_format | None = None) -> Tensor:
    """Where a compiled kernel writes a result in float32, laid out likewise: the result itself, else room beside it."""
    if result.dtype == torch.float32 and _lies_in(memory_format, result):
        return result
    return torch.empty(result.shape, dtype=torch.float32, memory_format=memory_format or torch.contiguous_format)


def filled(result: Tensor, room: Tensor | None) -> Tensor:
    """A result that a kernel wrote into its room, or as it is if there was none to be written."""
    return result if room is None or room is result else result.copy_(room)


def address_and_strides(tensor: Tensor) -> tuple[int, tuple[int, ...]]:
    """A feature map as compiled kernels take it."""
    return tensor.data_ptr(), _strides(tensor)


def _lies_in(memory_format: torch.memory_format | None, tensor: Tensor) -> bool:
    of_channels, _, of_columns = _strides(tensor)[1:]
    return (of_channels == 1 and memory_format != torch.contiguous_format) or (
        of_columns == 1 and memory_format != torch.channels_last
    )


def _strides(tensor: Tensor) -> tuple[int, ...]:
    """Those of a dimension of 1 may be any number; here they are 1, but for the batch's."""
    if 1 not in tensor.shape[1:]:
        return tensor.stride()
    return tuple(1 if size == 1 else stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
