"""Any formula over the pixels of each sample, in plain PyTorch: as autograd sees it, and in closed form by blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dislayers._runtime.layout import dense_samples, flat_samples, same_layout
from dislayers._runtime.precision import at_least_float32
from dislosses._pixel_loss.formula import Arguments, Formula, Logits, Prediction, Probabilities, Terms
from dislosses.labels import check_labels

# Elements a thread works on at a time: every intermediate result of a block then stays in the cache. Blocks are whole
# tasks of csrc/pixel_loss.h, so that the number of threads does not change what is added to what.
_BLOCK = 64 * 1024


def loss(formula: Formula, prediction: Tensor, target: Tensor, arguments: Arguments) -> Tensor:
    """The loss (B,) of samples (B, ...)."""
    values = at_least_float32(rows(prediction))
    sums = _sums(formula, values, rows(target), arguments)
    return formula.finish(sums, values.shape[1], arguments.options)[0]


def forward(formula: Formula, prediction: Tensor, target: Tensor, *packed: Any) -> tuple[Tensor, Tensor]:
    """The loss (B,) of each sample, and the coefficients (B, N) of its gradient."""
    arguments = Arguments(*packed)
    check_labels(target, arguments.ignore_label)
    samples, labels, dtype = flat(prediction, target)
    sums = torch.zeros((formula.sums, len(samples)), dtype=dtype, device=prediction.device)
    for block in blocks(samples):
        parts = _sums(formula, samples[block], labels[block], arguments)
        sums[:, block[0]] += torch.stack(parts)
    losses, coefficients = formula.finish(tuple(sums), samples.shape[1], arguments.options)
    return losses.clone(), torch.stack(coefficients, 1)


def backward(
    formula: Formula, gradient: Tensor, coefficients: Tensor, prediction: Tensor, target: Tensor, *packed: Any
) -> Tensor:
    """The gradient with respect to prediction, for a gradient (B,) of the losses."""
    arguments = Arguments(*packed)
    prediction = dense_samples(prediction)
    result = torch.empty_like(prediction)
    samples, labels, dtype = flat(prediction, target)
    scaled, results = (coefficients * gradient.to(dtype)[:, None])[:, :, None], flat_samples(result)
    for block in blocks(samples):
        values, label, valid = _valid(samples[block].to(dtype), labels[block].to(dtype), arguments)
        slope = formula.slope(values, label, tuple(scaled[block[0]].unbind(1)), arguments.options)
        results[block] = slope if valid is None else torch.where(valid, slope, 0)
    return result


def terms_of_pixels(formula: Formula, prediction: Tensor, target: Tensor, arguments: Arguments) -> Terms:
    """What each pixel adds to each sum, as autograd sees it; 0 where it does not count."""
    values = at_least_float32(prediction)
    kind, target, valid = _valid(values, target.to(values.dtype), arguments)
    terms = formula.terms(kind, target, arguments.options)
    return terms if valid is None else tuple(torch.where(valid, term, 0) for term in terms)


def rows(samples: Tensor) -> Tensor:
    """Samples (B, ...) as (B, N)."""
    return samples.unsqueeze(-1).flatten(1)


def flat(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor, torch.dtype]:
    """Both as (B, N), in the order of the prediction's memory, and the dtype of sums."""
    prediction = dense_samples(prediction)
    target = same_layout(target, prediction)
    return flat_samples(prediction), flat_samples(target), torch.promote_types(prediction.dtype, torch.float32)


def _sums(formula: Formula, values: Tensor, target: Tensor, arguments: Arguments) -> Terms:
    return tuple(term.sum(1) for term in terms_of_pixels(formula, values, target, arguments))


def _valid(values: Tensor, target: Tensor, arguments: Arguments) -> tuple[Prediction, Tensor, Tensor | None]:
    """The prediction, the target, and which pixels count; those that do not get harmless numbers."""
    kind = Probabilities if arguments.probabilities else Logits
    if arguments.ignore_label is None:
        return kind(values), target, None
    valid = target != arguments.ignore_label
    return kind(torch.where(valid, values, 0.5)), torch.where(valid, target, 0), valid


def blocks(samples: Tensor) -> Iterator[tuple[slice, slice]]:
    """Blocks of samples (B, N), the same whatever the values; the whole of it on a GPU."""
    batch, pixels = samples.shape
    size = _BLOCK * torch.get_num_threads() if samples.device.type == "cpu" else max(samples.numel(), 1)
    rows = max(1, size // max(pixels, 1))
    for row in range(0, batch, rows):
        for start in range(0, pixels, size):
            yield slice(row, row + rows), slice(start, start + size)
