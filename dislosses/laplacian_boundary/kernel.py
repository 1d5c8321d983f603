"""Triton kernels: a warp walks down a strip of columns, the last rows in its registers and the neighbours in its lanes.

A strip is 64 columns, two a lane; the two at each end only help the 60 between, so strips overlap.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from dislayers._runtime.approximate import approximate_log
from dislayers._runtime.launch import AheadOfTime, Blocks, BlockTable, blocks_for
from dislayers._runtime.layout import image_planes
from dislosses.laplacian_boundary import reference

# Not tuned on a GPU yet: `python -m bench.tune` prints rows for the GPU it runs on. A warp has one strip.
BLOCKS: BlockTable = {
    "default": [(1 << 18, Blocks(512, 1)), (1 << 22, Blocks(1024, 1)), (1 << 62, Blocks(2048, 1))],
    "cpu": [(1 << 62, Blocks(1 << 16, 16))],
}
_STRIP, _OWN = 64, 60
_JOINED = 1024


@triton.jit
def _place(planes, strips, STRIPS: tl.constexpr):
    """Planes (STRIPS, 1) and even columns (STRIPS, 32) of a program, and which lanes are its own."""
    strip = tl.program_id(0) * STRIPS + tl.arange(0, STRIPS)[:, None]
    lane = tl.arange(0, 32)[None, :]
    column = (strip % strips) * 60 - 2 + 2 * lane
    beyond: tl.constexpr = 1 << 30
    return strip // strips, tl.where(strip < planes * strips, column, beyond), (lane > 0) & (lane < 31)


@triton.jit
def _row(ptr, column, inside, width, other):
    """Values of a row in float32, (STRIPS, 32, 2); ``other`` outside the image."""
    even = tl.load(ptr, mask=inside & (column >= 0) & (column < width), other=other)
    odd = tl.load(ptr + 1, mask=inside & (column >= 0) & (column + 1 < width), other=other)
    return tl.join(even.to(tl.float32), odd.to(tl.float32))


@triton.jit
def _across(values):
    """``2 f - before - after`` along the columns of a strip; wrong at its ends."""
    even, odd = tl.split(values)
    lane = tl.broadcast_to(tl.arange(0, 32)[None, :], even.shape)
    before = tl.gather(odd, (lane + 31) % 32, axis=1)
    after = tl.gather(even, (lane + 1) % 32, axis=1)
    step = odd - even
    return tl.join((even - before) - step, step + (odd - after))


@triton.jit
def _laplacian(above, row, below, KERNEL: tl.constexpr):
    """The convolution, by differences alone: exactly 0 where the values are equal."""
    down = (row - above) + (row - below)
    if KERNEL == 8:
        return 3 * down + _across(above + row + below)
    else:
        return down + _across(row)


@triton.jit
def _reciprocal(x):
    """``1 / x`` of a positive number in 2 instructions; a division takes 8."""
    root = tl.rsqrt(x)
    return root * root


@triton.jit
def _probability(values, LOGITS: tl.constexpr):
    if LOGITS:
        # The minimum keeps the product out of the differences' multiply-adds, which would not cancel where p is flat.
        return tl.minimum(_reciprocal(1 + tl.exp2(-1.4426950408889634 * values)), 1, propagate_nan=tl.PropagateNan.ALL)
    else:
        return values


@triton.jit
def _strength(convolved, EDGE: tl.constexpr):
    """``a`` of an edge ``D = tanh a``."""
    if EDGE == "abs":
        return tl.abs(convolved)
    else:
        return tl.maximum(convolved, 0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _decay(a):
    """``E = exp(-2 a)``, of which ``tanh a = (1 - E) / (1 + E)``."""
    return tl.exp2(-2.8853900817779268 * a)


@triton.jit
def _one_less(a, decay):
    """``1 - E`` without the cancellation of small ``a``."""
    return tl.where(a < 0.04, 2 * a * (1 - a * (1 - a * (0.6666667 - 0.3333333 * a))), 1 - decay)


@triton.jit
def _loss(found, wanted, EDGE: tl.constexpr):
    """``-(t log D + (1 - t) log(1 - D))`` with ``t = (1 - F) / (1 + F)``, from the convolutions."""
    # D is in [1e-7, 1 - 1e-7] if its a is between the atanh of these.
    a = tl.clamp(_strength(found, EDGE), 1e-7, 8.405621383, propagate_nan=tl.PropagateNan.ALL)
    e, f = _decay(a), _decay(_strength(wanted, EDGE))
    share = (1 - f) * _reciprocal(1 + f)
    shift = 2 * a - 0.6931471805599453
    return (shift + approximate_log(1 + e)) - share * (shift + approximate_log(_one_less(a, e)))


@triton.jit
def _slope(found, wanted, EDGE: tl.constexpr):
    """A quarter of the loss's derivative by ``found``, which is ``sign 4 (F - E) / ((1 - E) (1 + E) (1 + F))``."""
    a = _strength(found, EDGE)
    e, f = _decay(a), _decay(_strength(wanted, EDGE))
    slope = (f - e) * _reciprocal(_one_less(a, e) * (1 + e) * (1 + f))
    slope = tl.where(found < 0, -slope, slope)
    return tl.where((a < 1e-7) | (a > 8.405621383), 0, slope)


@triton.jit
def _laplacian_boundary_forward(
    logits_ptr,
    target_ptr,
    partial_ptr,
    logits_stride_n,
    logits_stride_h,
    target_stride_n,
    target_stride_h,
    planes,
    height,
    width,
    strips,
    rows,
    EDGE: tl.constexpr,
    KERNEL: tl.constexpr,
    LOGITS: tl.constexpr,
    STRIPS: tl.constexpr,
):
    plane, column, own = _place(planes, strips, STRIPS)
    columns = tl.join(column, column + 1)
    first = tl.program_id(1) * rows + tl.zeros((1, 1), tl.int32)
    outside: tl.constexpr = float("-inf") if LOGITS else 0.0
    logits_ptr += plane.to(tl.int64) * logits_stride_n + (first - 1).to(tl.int64) * logits_stride_h + column
    target_ptr += plane.to(tl.int64) * target_stride_n + (first - 1).to(tl.int64) * target_stride_h + column
    p_above = tl.zeros((STRIPS, 32, 2), tl.float32)
    p, t_above, t = p_above, p_above, p_above
    total = p_above
    own = own[:, :, None] & (columns < width)
    for step in range(rows + 2):
        row = first - 1 + step
        inside = (row >= 0) & (row < height)
        p_below = _probability(_row(logits_ptr, column, inside, width, outside), LOGITS)
        t_below = _row(target_ptr, column, inside, width, 0)
        found = _laplacian(p_above, p, p_below, KERNEL)
        wanted = _laplacian(t_above, t, t_below, KERNEL)
        counted = (row > first) & (row <= height)
        total += tl.where(own & counted[:, :, None], _loss(found, wanted, EDGE), 0)
        p_above, p, t_above, t = p, p_below, t, t_below
        logits_ptr += logits_stride_h
        target_ptr += target_stride_h
    strip = tl.program_id(0) * STRIPS + tl.arange(0, STRIPS)
    place = strip.to(tl.int64) * tl.num_programs(1) + tl.program_id(1)
    tl.store(partial_ptr + place, tl.sum(tl.sum(total, axis=2), axis=1), mask=strip < planes * strips)


@triton.jit
def _laplacian_boundary_join(partial_ptr, loss_ptr, parts, pixels, BLOCK: tl.constexpr):
    sample = tl.program_id(0).to(tl.int64)
    loss = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, parts, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        loss += tl.load(partial_ptr + sample * parts + offs, mask=offs < parts, other=0)
    tl.store(loss_ptr + sample, tl.sum(loss, axis=0) / pixels)


@triton.jit
def _laplacian_boundary_backward(
    gradient_ptr,
    logits_ptr,
    target_ptr,
    result_ptr,
    gradient_stride_b,
    logits_stride_n,
    logits_stride_h,
    target_stride_n,
    target_stride_h,
    planes,
    height,
    width,
    strips,
    rows,
    channels,
    scale,
    EDGE: tl.constexpr,
    KERNEL: tl.constexpr,
    LOGITS: tl.constexpr,
    STRIPS: tl.constexpr,
):
    plane, column, own = _place(planes, strips, STRIPS)
    columns = tl.join(column, column + 1)
    first = tl.program_id(1) * rows + tl.zeros((1, 1), tl.int32)
    outside: tl.constexpr = float("-inf") if LOGITS else 0.0
    sample = tl.where(plane < planes, plane, 0) // channels
    weight = (tl.load(gradient_ptr + sample * gradient_stride_b) * scale)[:, :, None]
    logits_ptr += plane.to(tl.int64) * logits_stride_n + (first - 2).to(tl.int64) * logits_stride_h + column
    target_ptr += plane.to(tl.int64) * target_stride_n + (first - 2).to(tl.int64) * target_stride_h + column
    result_ptr += (plane.to(tl.int64) * height + first - 4) * width + column
    p_above = tl.zeros((STRIPS, 32, 2), tl.float32)
    p, t_above, t = p_above, p_above, p_above
    e_above, e = p_above, p_above
    inside_columns = (columns >= 0) & (columns < width)
    for step in range(rows + 4):
        row = first - 2 + step
        inside = (row >= 0) & (row < height)
        p_below = _probability(_row(logits_ptr, column, inside, width, outside), LOGITS)
        t_below = _row(target_ptr, column, inside, width, 0)
        found = _laplacian(p_above, p, p_below, KERNEL)
        wanted = _laplacian(t_above, t, t_below, KERNEL)
        inside = (row >= 1) & (row <= height)
        e_below = tl.where(inside_columns & inside[:, :, None], _slope(found, wanted, EDGE), 0)
        result = _laplacian(e_above, e, e_below, KERNEL) * weight
        if LOGITS:
            result *= p_above * (1 - p_above)
        even, odd = tl.split(result.to(result_ptr.dtype.element_ty))
        done = own & (row > first + 1) & (row <= height + 1)
        tl.store(result_ptr, even, mask=done & (column < width))
        tl.store(result_ptr + 1, odd, mask=done & (column + 1 < width))
        p_above, p, t_above, t = p, p_below, t, t_below
        e_above, e = e, e_below
        logits_ptr += logits_stride_h
        target_ptr += target_stride_h
        result_ptr += width


def _prepared(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Blocks]:
    if target.dtype == torch.bool:
        target = target.view(torch.uint8)
    return image_planes(logits), image_planes(target), blocks_for(BLOCKS, logits.device, logits.numel())


def _constants(edge: str, kernel: int, input: str, blocks: Blocks) -> dict[str, object]:
    return {"EDGE": edge, "KERNEL": kernel, "LOGITS": input == "logits", "STRIPS": blocks.warps}


def _sizes(logits: Tensor, target: Tensor, blocks: Blocks) -> tuple[int, ...]:
    """Strides, planes, height, width, strips a plane and rows a program."""
    planes, height, width = logits.shape
    rows = min(blocks.elements // (_STRIP * blocks.warps), height)
    strides = (*logits.stride()[:2], *target.stride()[:2])
    return *strides, planes, height, width, triton.cdiv(width, _OWN), rows


def launch_laplacian_boundary_forward(logits: Tensor, target: Tensor, edge: str, kernel: int, input: str) -> Tensor:
    """As :func:`dislosses.laplacian_boundary.reference.laplacian_boundary`."""
    if logits.dtype == torch.float64 or logits.numel() == 0:
        return reference.laplacian_boundary(logits, target, edge, kernel, input)
    batch, pixels = len(logits), logits[0].numel()
    logits, target, blocks = _prepared(logits, target)
    sizes = _sizes(logits, target, blocks)
    *_, planes, height, _, strips, rows = sizes
    bands = triton.cdiv(height, rows)
    partial = torch.empty(planes * strips * bands, dtype=torch.float32, device=logits.device)
    loss = torch.empty(batch, dtype=torch.float32, device=logits.device)
    with torch.cuda.device_of(logits):
        _laplacian_boundary_forward[(triton.cdiv(planes * strips, blocks.warps), bands)](
            logits,
            target,
            partial,
            *sizes,
            **_constants(edge, kernel, input, blocks),
            num_warps=blocks.warps,
            enable_fp_fusion=True,
        )
        _laplacian_boundary_join[(batch,)](partial, loss, len(partial) // batch, pixels, BLOCK=_JOINED, num_warps=4)
    return loss


def launch_laplacian_boundary_backward(
    gradient: Tensor, logits: Tensor, target: Tensor, edge: str, kernel: int, input: str
) -> Tensor:
    """As :func:`dislosses.laplacian_boundary.reference.backward`."""
    if logits.dtype == torch.float64 or logits.numel() == 0:
        return reference.backward(gradient, logits, target, edge, kernel, input)
    batch, pixels, result = len(logits), logits[0].numel(), torch.empty_like(logits)
    out = result if result.is_contiguous() else torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)
    logits, target, blocks = _prepared(logits, target)
    sizes = _sizes(logits, target, blocks)
    *_, planes, height, _, strips, rows = sizes
    with torch.cuda.device_of(logits):
        _laplacian_boundary_backward[(triton.cdiv(planes * strips, blocks.warps), triton.cdiv(height, rows))](
            gradient,
            logits,
            target,
            out,
            gradient.stride(0),
            *sizes,
            planes // batch,
            4 / pixels,
            **_constants(edge, kernel, input, blocks),
            num_warps=blocks.warps,
            enable_fp_fusion=True,
        )
    return result if out is result else result.copy_(out)


def _variant(direction: str, kernel: object, logits: str, target: str, budget: float) -> AheadOfTime:
    types = {"logits_ptr": logits, "target_ptr": target, "result_ptr": logits, "gradient_ptr": "*fp32"}
    types |= {"partial_ptr": "*fp32", "scale": "fp32"}
    blocks = BLOCKS["default"][-1][1]
    constants = _constants("abs", 8, "logits", blocks)
    arguments = [name for name in kernel.arg_names if name not in constants]  # type: ignore[attr-defined]
    signature = {name: types.get(name, "i32") for name in arguments}
    aligned = [name for name in arguments if name.endswith(("_ptr", "_stride_n", "_stride_h", "height", "width"))]
    # An element is one of a row: all instructions for a single row, of which the loop over rows is half.
    name = f"laplacian_boundary {direction} {logits[1:]} {target[1:]}, a row"
    return AheadOfTime(name, kernel, signature, constants, blocks.warps, _STRIP * blocks.warps, budget, aligned)


AHEAD_OF_TIME = [
    _variant("forward", _laplacian_boundary_forward, "*fp32", "*fp32", 130),
    _variant("forward", _laplacian_boundary_forward, "*bf16", "*u8", 130),
    _variant("backward", _laplacian_boundary_backward, "*fp32", "*fp32", 156),
    _variant("backward", _laplacian_boundary_backward, "*bf16", "*u8", 156),
    AheadOfTime(
        "laplacian_boundary join",
        _laplacian_boundary_join,
        {"partial_ptr": "*fp32", "loss_ptr": "*fp32", "parts": "i32", "pixels": "i32"},
        {"BLOCK": _JOINED},
        4,
    ),
]
