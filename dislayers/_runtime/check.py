"""Checks of what users pass, each with a text that names the argument, what came and what was expected.

None reads a value from the device, and all can be traced by torch.compile.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)} on {value.device}"
    return f"{type(value).__name__} {repr(value)[:60]}"


def mask(name: str, value: object) -> None:
    """A bool or uint8 tensor (..., H, W)."""
    if not isinstance(value, Tensor) or value.dtype not in (torch.bool, torch.uint8):
        raise TypeError(f"{name} must be a bool or uint8 tensor (..., H, W), got {_described(value)}")
    if value.ndim < 2:
        raise ValueError(f"{name} must have the shape (..., H, W), got {_described(value)}")


def prediction(name: str, value: object) -> None:
    """A uint8 or floating tensor (..., H, W)."""
    if not isinstance(value, Tensor) or not (value.dtype == torch.uint8 or value.is_floating_point()):
        raise TypeError(f"{name} must be a uint8 or floating tensor (..., H, W), got {_described(value)}")
    if value.ndim < 2:
        raise ValueError(f"{name} must have the shape (..., H, W), got {_described(value)}")


def floating(name: str, value: object) -> None:
    """A tensor of a floating dtype."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise TypeError(f"{name} must be a floating tensor, got {_described(value)}")


def typed(name: str, value: object, dtype: torch.dtype) -> None:
    """A tensor of one dtype."""
    if not isinstance(value, Tensor) or value.dtype != dtype:
        raise TypeError(f"{name} must be a tensor of {dtype}, got {_described(value)}")


def matching(name: str, value: Tensor, like_name: str, like: Tensor) -> None:
    """Same shape and device as another argument."""
    if value.shape != like.shape or value.device != like.device:
        raise ValueError(
            f"{name} must have the shape and device of {like_name}, got {_described(value)} for {_described(like)}"
        )


def beside(name: str, value: Tensor, like_name: str, like: Tensor) -> None:
    """On the device of another argument."""
    if value.device != like.device:
        raise ValueError(f"{name} must be on the device of {like_name}, {like.device}, got {_described(value)}")


def feature_map(name: str, value: Tensor) -> None:
    """A floating tensor (B, C, H, W), C at least 1."""
    floating(name, value)
    if value.ndim != 4 or value.shape[1] == 0:
        raise ValueError(f"{name} must have the shape (B, C, H, W) with channels, got {tuple(value.shape)}")


def parameter(name: str, value: Tensor, shape: Sequence[int], like_name: str, like: Tensor) -> None:
    """A floating tensor of one shape, on the device of another argument."""
    floating(name, value)
    shaped(name, value, shape)
    beside(name, value, like_name, like)


def count(name: str, value: object) -> None:
    """An int of at least 0."""
    if isinstance(value, bool) or not isinstance(value, (int, torch.SymInt)):
        raise TypeError(f"{name} must be an int of at least 0, got {_described(value)}")
    if value < 0:
        raise ValueError(f"{name} must be at least 0, got {value}")


def one_of(name: str, value: object, choices: Collection[str]) -> None:
    """One of a few words."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def real(name: str, value: object) -> None:
    """A tensor of a bool, integer or floating dtype."""
    if not isinstance(value, Tensor) or value.is_complex():
        raise TypeError(f"{name} must be a bool, integer or floating tensor, got {_described(value)}")


def within(name: str, value: object, least: float, most: float) -> None:
    """A number of a closed range."""
    if isinstance(value, bool) or not isinstance(value, (int, float, torch.SymInt, torch.SymFloat)):
        raise TypeError(f"{name} must be a number, got {_described(value)}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be in [{least}, {most}], got {value}")


def shaped(name: str, value: Tensor, shape: Sequence[int]) -> None:
    """A tensor of one shape."""
    if tuple(value.shape) != tuple(shape):
        raise ValueError(f"{name} must have the shape {tuple(shape)}, got {_described(value)}")


def tensors(name: str, value: object) -> None:
    """A list or tuple of at least one tensor."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(x, Tensor) for x in value):
        raise TypeError(f"{name} must be a list or tuple of tensors, got {_described(value)}")
    if not value:
        raise ValueError(f"{name} must hold at least one tensor, got none")
