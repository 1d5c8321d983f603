"""Calls into ``csrc/deep_supervision.cpp``, which computes in float32: side outputs of half precision are copied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dislayers._runtime.native import extension, workers
from dislosses._pixel_loss.op import formulas
from dislosses.deep_supervision import reference
from dislosses.labels import check_labels
from dislosses.precision import dtype_of_losses, uint8_or_float32


def forward(logits: Sequence[Tensor], target: Tensor, *loss: Any) -> tuple[Tensor, Tensor]:
    """As :func:`dislosses.deep_supervision.reference.forward`."""
    assert extension is not None
    name, options, ignore_label = loss
    if not _takes(logits, target, name):
        return reference.forward(logits, target, *loss)
    check_labels(target, ignore_label)
    formula, sides, labels = formulas[name], _dense(logits), uint8_or_float32(target).contiguous()
    sums = torch.empty((len(sides) * len(target), formula.sums), dtype=torch.float64)
    extension.deep_supervision_cpu(*_call(sides, labels, *loss), sums.data_ptr(), *workers())
    losses, coefficients = formula.finish(tuple(sums.unbind(1)), target[0].numel(), options)
    shape = len(sides), len(target)
    return losses.float().view(shape), torch.stack(coefficients, 1).float().view(*shape, -1)


def backward(
    gradient: Tensor, coefficients: Tensor, logits: Sequence[Tensor], target: Tensor, *loss: Any
) -> list[Tensor]:
    """As :func:`dislosses.deep_supervision.reference.backward`."""
    assert extension is not None
    if not _takes(logits, target, loss[0]):
        return reference.backward(gradient, coefficients, logits, target, *loss)
    sides, labels, scaled = _dense(logits), uint8_or_float32(target).contiguous(), coefficients * gradient[:, :, None]
    gradients = [torch.empty_like(side) for side in sides]
    addresses = [result.data_ptr() for result in gradients]
    extension.deep_supervision_backward_cpu(*_call(sides, labels, *loss), scaled.data_ptr(), addresses, *workers())
    return [result.to(side.dtype) for result, side in zip(gradients, logits, strict=True)]


def _takes(logits: Sequence[Tensor], target: Tensor, name: str) -> bool:
    assert extension is not None
    return len(target) > 0 and dtype_of_losses(logits) == torch.float32 and name in extension.pixel_formulas()


def _dense(logits: Sequence[Tensor]) -> list[Tensor]:
    return [side.float().contiguous() for side in logits]


def _call(
    sides: Sequence[Tensor], labels: Tensor, name: str, options: Sequence[float], ignore_label: float | None
) -> tuple[Any, ...]:
    addresses, sizes = [side.data_ptr() for side in sides], [tuple(side.shape[-2:]) for side in sides]
    size, ignored = (len(labels), *labels.shape[-2:]), math.nan if ignore_label is None else ignore_label
    return addresses, sizes, labels.data_ptr(), labels.element_size(), size, name, options, ignored
