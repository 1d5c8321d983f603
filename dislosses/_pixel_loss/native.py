"""Calls into ``csrc/pixel_loss.cpp``, which computes in float32: what is not float32 goes through copies of blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from dislayers._runtime.layout import bool_as_uint8, dense_samples, flat_samples
from dislayers._runtime.native import extension, workers
from dislosses._pixel_loss import reference
from dislosses._pixel_loss.formula import Arguments, Formula
from dislosses.labels import check_labels
from dislosses.precision import uint8_or_float32

Blocks = Iterable[tuple[slice, slice]]


def forward(formula: Formula, prediction: Tensor, target: Tensor, *packed: Any) -> tuple[Tensor, Tensor]:
    """As :func:`dislosses._pixel_loss.reference.forward`."""
    assert extension is not None
    if not _takes(formula, prediction):
        return reference.forward(formula, prediction, target, *packed)
    check_labels(target, Arguments(*packed).ignore_label)
    samples, labels, blocks = _flat(prediction, target)
    sums = torch.zeros((len(samples), formula.sums), dtype=torch.float64)
    for block in blocks:
        values, label, of_rows = samples[block].float(), uint8_or_float32(labels[block]), sums[block[0]]
        extension.pixel_loss_cpu(*_call(formula, values, label, Arguments(*packed)), of_rows.data_ptr(), *workers())
    losses, coefficients = formula.finish(tuple(sums.unbind(1)), samples.shape[1], Arguments(*packed).options)
    return losses.float(), torch.stack(coefficients, 1).float()


def backward(
    formula: Formula, gradient: Tensor, coefficients: Tensor, prediction: Tensor, target: Tensor, *packed: Any
) -> Tensor:
    """As :func:`dislosses._pixel_loss.reference.backward`."""
    assert extension is not None
    if not _takes(formula, prediction):
        return reference.backward(formula, gradient, coefficients, prediction, target, *packed)
    prediction = dense_samples(prediction)
    result = torch.empty_like(prediction)
    samples, labels, blocks = _flat(prediction, target)
    scaled, results = coefficients * gradient[:, None], flat_samples(result)
    for block in blocks:
        values, label, slopes = samples[block].float(), uint8_or_float32(labels[block]), results[block]
        written = slopes if slopes.dtype == torch.float32 else torch.empty_like(values)
        extension.pixel_loss_backward_cpu(
            *_call(formula, values, label, Arguments(*packed)),
            scaled[block[0]].data_ptr(), written.data_ptr(), written.stride(0), *workers(),
        )  # fmt: skip
        if written is not slopes:
            slopes.copy_(written)
    return result


def _takes(formula: Formula, prediction: Tensor) -> bool:
    assert extension is not None
    return prediction.dtype != torch.float64 and formula.name in extension.pixel_formulas()


def _flat(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Blocks]:
    """Both as (B, N), and the blocks to compute: all at once where the kernel takes both as they are."""
    samples, labels, _ = reference.flat(prediction, bool_as_uint8(target))
    if samples.numel() and samples.dtype == torch.float32 and labels.dtype in (torch.uint8, torch.float32):
        return samples, labels, [(slice(None), slice(None))]
    return samples, labels, reference.blocks(samples)


def _call(formula: Formula, values: Tensor, label: Tensor, arguments: Arguments) -> tuple[Any, ...]:
    ignored = math.nan if arguments.ignore_label is None else arguments.ignore_label
    return (
        formula.name, arguments.probabilities, arguments.options, ignored,
        values.data_ptr(), values.stride(0), label.data_ptr(), label.element_size(), label.stride(0), values.shape,
    )  # fmt: skip
