"""Triton kernels: one pass for the sums of a block, one program a sample to join them, one pass for the gradient."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from dislayers._runtime.approximate import approximate_log
from dislayers._runtime.launch import AheadOfTime, Blocks, BlockTable, blocks_for
from dislayers._runtime.layout import dense_samples, same_layout

# Not tuned on a GPU yet: `python -m bench.tune` prints rows for the GPU it runs on.
BLOCKS: BlockTable = {
    "default": [(1 << 18, Blocks(1024, 4)), (1 << 62, Blocks(4096, 8))],
    "cpu": [(1 << 62, Blocks(4096, 4))],
}
_JOINED = 1024


@triton.jit
def _block(
    logits_ptr,
    target_ptr,
    logits_stride_b,
    target_stride_b,
    pixels,
    ignore_label,
    BLOCK: tl.constexpr,
    ACCURACY: tl.constexpr,
):
    """Logits, labels and validity of this program's block; outside the sample nothing is valid."""
    sample = tl.program_id(1).to(tl.int64)
    start = tl.program_id(0).to(tl.int64) * BLOCK
    offs = tl.arange(0, BLOCK)
    inside = offs < pixels - start
    logits = tl.load(logits_ptr + sample * logits_stride_b + start + offs, mask=inside, other=0).to(ACCURACY)
    target = tl.load(target_ptr + sample * target_stride_b + start + offs, mask=inside, other=0).to(ACCURACY)
    return logits, target, inside & (target.to(tl.float32) != ignore_label), inside


@triton.jit
def _reciprocal(x):
    """``1 / x`` of a positive number in 2 instructions; a division takes 8."""
    root = tl.rsqrt(x)
    return root * root


@triton.jit
def _log(x, ACCURACY: tl.constexpr):
    if ACCURACY == tl.float64:  # noqa: SIM300
        return tl.log(x)
    else:
        return approximate_log(x)


@triton.jit
def _terms(logits, target, ACCURACY: tl.constexpr):
    """``|t - p|``, ``1 - |t - p|`` with the epsilon, ``t >= p`` and ``p (1 - p)``."""
    exponential = tl.exp2(-1.4426950408889634 * tl.abs(logits))
    larger = _reciprocal(1.0 + exponential)
    smaller = exponential * larger
    positive = tl.where(logits >= 0, larger, smaller)
    negative = tl.where(logits >= 0, smaller, larger)
    rest = 1 - target
    error = tl.maximum(positive - target, negative - rest)
    confidence = tl.minimum(tl.minimum(positive + rest, negative + target) + 1e-12, 1.0)
    return tl.maximum(error, 1.1754943508222875e-38), confidence, target >= positive, larger * smaller


@triton.jit
def _power(base, exponent, GAMMA_IS_2: tl.constexpr, LESS: tl.constexpr):
    """``base ** (exponent - LESS)``, for the usual exponent of 2 without logarithms."""
    if GAMMA_IS_2:
        if LESS == 1:
            return base
        else:
            return base * base
    else:
        return tl.exp((exponent - LESS) * tl.log(base))


@triton.jit
def _normalized_focal_forward(
    logits_ptr,
    target_ptr,
    partial_ptr,
    logits_stride_b,
    target_stride_b,
    pixels,
    alpha,
    gamma,
    ignore_label,
    GAMMA_IS_2: tl.constexpr,
    BLOCK: tl.constexpr,
    ACCURACY: tl.constexpr,
):
    logits, target, valid, _ = _block(
        logits_ptr, target_ptr, logits_stride_b, target_stride_b, pixels, ignore_label, BLOCK, ACCURACY
    )
    error, confidence, _, _ = _terms(logits, tl.where(valid, target, 0), ACCURACY)
    beta = tl.where(valid, _power(error, gamma, GAMMA_IS_2, 0), 0)
    loss = tl.where(target > 0.5, -alpha, alpha - 1) * beta * _log(confidence, ACCURACY)
    place = (tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)) * 2
    tl.store(partial_ptr + place, tl.sum(loss, axis=0))
    tl.store(partial_ptr + place + 1, tl.sum(beta, axis=0))


@triton.jit
def _normalized_focal_join(partial_ptr, loss_ptr, divisor_ptr, blocks, BLOCK: tl.constexpr, ACCURACY: tl.constexpr):
    sample = tl.program_id(0).to(tl.int64)
    loss = tl.zeros((BLOCK,), ACCURACY)
    beta = tl.zeros((BLOCK,), ACCURACY)
    for start in range(0, blocks, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        inside = offs < blocks
        partial = partial_ptr + (sample * blocks + offs) * 2
        loss += tl.load(partial, mask=inside, other=0)
        beta += tl.load(partial + 1, mask=inside, other=0)
    divisor = tl.sum(beta, axis=0) + 1e-12
    tl.store(loss_ptr + sample, tl.sum(loss, axis=0) / divisor)
    tl.store(divisor_ptr + sample, divisor)


@triton.jit
def _normalized_focal_backward(
    gradient_ptr,
    divisor_ptr,
    logits_ptr,
    target_ptr,
    result_ptr,
    gradient_stride_b,
    logits_stride_b,
    target_stride_b,
    result_stride_b,
    pixels,
    alpha,
    gamma,
    ignore_label,
    GAMMA_IS_2: tl.constexpr,
    BLOCK: tl.constexpr,
    ACCURACY: tl.constexpr,
):
    logits, target, valid, inside = _block(
        logits_ptr, target_ptr, logits_stride_b, target_stride_b, pixels, ignore_label, BLOCK, ACCURACY
    )
    error, confidence, below, slope = _terms(logits, tl.where(valid, target, 0), ACCURACY)
    by_power = gamma * _power(error, gamma, GAMMA_IS_2, 1) * _log(confidence, ACCURACY)
    by_logarithm = _power(error, gamma, GAMMA_IS_2, 0) * _reciprocal(confidence)
    sample = tl.program_id(1).to(tl.int64)
    scale = tl.load(gradient_ptr + sample * gradient_stride_b) / tl.load(divisor_ptr + sample)
    weight = tl.where(target > 0.5, alpha, 1 - alpha) * scale
    weight = tl.where(below, -weight, weight)
    result = tl.where(valid, weight * (by_logarithm - by_power) * slope, 0)
    start = tl.program_id(0).to(tl.int64) * BLOCK
    offs = tl.arange(0, BLOCK)
    place = result_ptr + sample * result_stride_b + start + offs
    tl.store(place, result.to(result_ptr.dtype.element_ty), mask=inside)


def _prepared(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, int, Blocks]:
    logits = dense_samples(logits)
    target = same_layout(target, logits)
    if target.dtype == torch.bool:
        target = target.view(torch.uint8)
    pixels = logits[0].numel() if len(logits) else 0
    return logits, target, pixels, blocks_for(BLOCKS, logits.device, logits.numel())


def _constants(gamma: float, logits: Tensor, blocks: Blocks) -> dict[str, object]:
    accuracy = tl.float64 if logits.dtype == torch.float64 else tl.float32
    return {
        "GAMMA_IS_2": gamma == 2,
        "BLOCK": blocks.elements,
        "ACCURACY": accuracy,
        "num_warps": blocks.warps,
        "enable_fp_fusion": True,
    }


def launch_normalized_focal_forward(
    logits: Tensor, target: Tensor, alpha: float, gamma: float, ignore_label: float
) -> tuple[Tensor, Tensor]:
    """As :func:`dislosses.normalized_focal.reference.forward`."""
    logits, target, pixels, blocks = _prepared(logits, target)
    dtype = torch.promote_types(logits.dtype, torch.float32)
    loss, divisor = (torch.empty(len(logits), dtype=dtype, device=logits.device) for _ in range(2))
    programs = triton.cdiv(pixels, blocks.elements)
    partial = torch.empty((len(logits), programs, 2), dtype=dtype, device=logits.device)
    constants = _constants(gamma, logits, blocks)
    with torch.cuda.device_of(logits):
        if partial.numel():
            _normalized_focal_forward[(programs, len(logits))](
                logits,
                target,
                partial,
                logits.stride(0),
                target.stride(0),
                pixels,
                alpha,
                gamma,
                ignore_label,
                **constants,
            )
        if len(logits):
            _normalized_focal_join[(len(logits),)](
                partial, loss, divisor, programs, BLOCK=_JOINED, ACCURACY=constants["ACCURACY"], num_warps=4
            )
    return loss, divisor


def launch_normalized_focal_backward(
    gradient: Tensor,
    divisor: Tensor,
    logits: Tensor,
    target: Tensor,
    alpha: float,
    gamma: float,
    ignore_label: float,
) -> Tensor:
    """As :func:`dislosses.normalized_focal.reference.backward`."""
    logits, target, pixels, blocks = _prepared(logits, target)
    result = torch.empty_like(logits)
    if result.numel():
        with torch.cuda.device_of(logits):
            _normalized_focal_backward[(triton.cdiv(pixels, blocks.elements), len(logits))](
                gradient,
                divisor,
                logits,
                target,
                result,
                gradient.stride(0),
                logits.stride(0),
                target.stride(0),
                result.stride(0),
                pixels,
                alpha,
                gamma,
                ignore_label,
                **_constants(gamma, logits, blocks),
            )
    return result


def _variant(direction: str, kernel: object, logits: str, target: str, budget: float) -> AheadOfTime:
    types = {"logits_ptr": logits, "target_ptr": target, "result_ptr": logits, "gradient_ptr": "*fp32"}
    types |= {"divisor_ptr": "*fp32", "partial_ptr": "*fp32", "alpha": "fp32", "gamma": "fp32", "ignore_label": "fp32"}
    blocks = BLOCKS["default"][-1][1]
    constants = {"GAMMA_IS_2": True, "BLOCK": blocks.elements, "ACCURACY": tl.float32}
    arguments = [name for name in kernel.arg_names if name not in constants]  # type: ignore[attr-defined]
    signature = {name: types.get(name, "i32") for name in arguments}
    aligned = [
        name for name in arguments if name.endswith(("_ptr", "_stride_b", "pixels")) and name != "gradient_stride_b"
    ]
    name = f"normalized_focal {direction} {logits[1:]} {target[1:]}"
    return AheadOfTime(name, kernel, signature, constants, blocks.warps, blocks.elements, budget, aligned)


AHEAD_OF_TIME = [
    _variant("forward", _normalized_focal_forward, "*fp32", "*fp32", 40),
    _variant("forward", _normalized_focal_forward, "*bf16", "*u8", 45),
    _variant("backward", _normalized_focal_backward, "*fp32", "*fp32", 50),
    _variant("backward", _normalized_focal_backward, "*bf16", "*u8", 55),
    AheadOfTime(
        "normalized_focal join",
        _normalized_focal_join,
        {"partial_ptr": "*fp32", "loss_ptr": "*fp32", "divisor_ptr": "*fp32", "blocks": "i32"},
        {"BLOCK": _JOINED, "ACCURACY": tl.float32},
        4,
    ),
]
