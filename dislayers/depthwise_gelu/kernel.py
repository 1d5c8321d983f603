"""Launches of the Triton kernels, and what is compiled ahead of time.

Forward reads x and writes the result. Backward reads x and the gradient and writes what reaches the convolution, then
reads that and writes the gradient of x: seven maps in all, and none is kept. Not measured on a GPU.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from dislayers._runtime.launch import ENDLESS, AheadOfTime, blocks_for, launch_table
from dislayers._runtime.layout import stored_like, strides_fit
from dislayers.depthwise_gelu import reference
from dislayers.depthwise_gelu.backward import through_convolution, through_gelu
from dislayers.depthwise_gelu.forward import convolve_and_activate


class Strips(NamedTuple):
    """Rows of a strip, about, lanes and warps of a program."""

    rows: int
    lanes: int
    warps: int


# Not tuned on a GPU yet: `python -m dislayers.tune` fills it.
STRIPS = launch_table(
    "dislayers.depthwise_gelu",
    "strips",
    default=[(1 << 22, Strips(9, 256, 4)), (ENDLESS, Strips(33, 256, 4))],
    cpu=[(ENDLESS, Strips(66, 1 << 10, 4))],
)
# Columns of a span or channels of it, at most.
_WIDEST = 64


def _constants(strips: Strips, side_by_side: int, channels_last: bool) -> dict[str, Any]:
    width = min(_WIDEST, triton.next_power_of_2(side_by_side))
    return {
        "SPANS": max(1, strips.lanes // width),
        "WIDTH": width,
        "CHANNELS_LAST": channels_last,
        "num_warps": strips.warps,
    }


class _Cut(NamedTuple):
    """The programs, what kernels take as sizes and as constants, and parts of a channel that are added up alone."""

    programs: tuple[int, int]
    sizes: tuple[int, ...]
    constants: dict[str, Any]
    parts: int


def _cut(x: Tensor) -> _Cut:
    batch, channels, height, width = x.shape
    channels_last = x.stride(1) == 1 < channels
    strips = blocks_for(STRIPS, x.device, x.numel())
    constants = _constants(strips, channels if channels_last else width, channels_last)
    across = width if channels_last else triton.cdiv(width, constants["WIDTH"])
    rows = 3 * triton.cdiv(height, 3 * triton.cdiv(height, strips.rows))
    down = triton.cdiv(height, rows)
    total = batch * down * across
    sizes = total, across, down, rows, height, width, channels
    if channels_last:
        programs = triton.cdiv(total, constants["SPANS"]), triton.cdiv(channels, constants["WIDTH"])
        return _Cut(programs, sizes, constants, programs[0])
    return _Cut((triton.cdiv(total * channels, constants["SPANS"]), 1), sizes, constants, total)


def _map(tensor: Tensor) -> tuple[Any, ...]:
    """A feature map as the kernels take it."""
    return tensor, *tensor.stride()


def _takes(weight: Tensor, *maps: Tensor) -> bool:
    return (
        weight.shape[2:] == (3, 3)
        and maps[0].numel() > 0
        and strides_fit(*maps)
        and torch.float64 not in (tensor.dtype for tensor in (weight, *maps))
    )


def launch_forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As :func:`dislayers.depthwise_gelu.reference.depthwise_gelu`, which runs for float64 and for other kernels."""
    if not _takes(weight, x):
        return reference.depthwise_gelu(x, weight, bias)
    out = torch.empty_like(x)
    programs, sizes, constants, _ = _cut(x)
    with torch.cuda.device_of(x):
        convolve_and_activate[programs](
            _map(x), _map(out), weight.contiguous(), bias.contiguous(), sizes, **constants, enable_fp_fusion=True
        )
    return out


def launch_backward(gradient: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> reference.Gradients:
    """As :func:`dislayers.depthwise_gelu.reference.backward`, which runs for float64 and for other kernels."""
    if not _takes(weight, x, gradient):
        return reference.backward(gradient, x, weight, bias)
    d_a, d_x, kernel = torch.empty_like(x), torch.empty_like(x), weight.contiguous()
    programs, sizes, constants, parts = _cut(x)
    partial = torch.empty(parts, 10, len(bias), dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):
        through_gelu[programs](
            *(*map(_map, (x, gradient, d_a)), kernel, bias.contiguous(), partial, sizes),
            **constants,
            enable_fp_fusion=True,
        )
        through_convolution[programs](_map(d_a), _map(d_x), kernel, sizes, **constants, enable_fp_fusion=True)
    sums = partial.sum(0)
    return d_x, stored_like(sums[:9].mT.view(weight.shape), weight), stored_like(sums[9], bias)


def _variant(kernel: Any, budget: float, dtype: str, channels_last: bool) -> AheadOfTime:
    """For maps of which channels or columns lie side by side; instructions are counted as if three rows were all."""
    constants: dict[Any, Any] = _constants(STRIPS["default"][-1][1], _WIDEST, channels_last)
    signature: dict[str, str | tuple[str, ...]] = {"sizes": ("i32",) * 7}
    warps, inner = constants.pop("num_warps"), 2 if channels_last else 4
    for index, name in enumerate(kernel.arg_names):
        if name.endswith("_ptr"):
            signature[name] = "*fp32"
        elif name not in (*constants, *signature):
            signature[name] = (f"*{dtype}", *("constexpr" if i == inner else "i32" for i in range(1, 5)))
            constants[index, inner] = 1
    taken = {name: signature[name] for name in kernel.arg_names if name in signature}
    name = f"depthwise_gelu {kernel.__name__} {dtype} {'channels_last' if channels_last else 'contiguous'}"
    elements = 3 * constants["SPANS"] * constants["WIDTH"]
    return AheadOfTime(name, kernel, taken, constants, warps, elements, budget, aligned=list(taken))


AHEAD_OF_TIME = [
    _variant(kernel, budget, dtype, channels_last)
    for kernel, budget in ((convolve_and_activate, 100), (through_gelu, 174), (through_convolution, 85))
    for dtype in ("fp32", "bf16")
    for channels_last in (False, True)
]
