"""The normalized focal loss of each sample, and its closed form for where no kernel runs, in plain PyTorch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from dislayers._runtime.layout import dense_samples, flat_samples, same_layout
from dislosses.precision import at_least_float32

EPSILON = 1e-12

# Elements a thread works on at a time: every intermediate result of a block then stays in the cache.
_BLOCK = 64 * 1024


def normalized_focal(logits: Tensor, target: Tensor, alpha: float, gamma: float, ignore_label: float) -> Tensor:
    """``sum(-w beta log pt) / sum(beta)`` of each sample (B, ...) -> (B,), the divisor detached.

    ``pt = 1 - |t - p|``, ``beta = (1 - pt)^gamma``, ``w = alpha`` where ``t > 0.5`` and ``1 - alpha`` elsewhere.
    """
    logits = at_least_float32(logits).flatten(1)
    loss, beta = _sums(logits, target.flatten(1).to(logits.dtype), alpha, gamma, ignore_label)
    return loss / (beta.detach() + EPSILON)


def _sums(logits: Tensor, target: Tensor, alpha: float, gamma: float, ignore_label: float) -> tuple[Tensor, Tensor]:
    valid = _nonzero(target - ignore_label)
    error, confidence, _, _ = _terms(logits, target * valid)
    beta = error**gamma * valid
    return -(_weight(target, alpha) * beta * (confidence + EPSILON).clamp_max(1).log()).sum(1), beta.sum(1)


# Ones and zeros in the tensors' own dtype: on a CPU, bool tensors and torch.where take ten times as long.
def _nonzero(tensor: Tensor) -> Tensor:
    return tensor.sign().abs()


def _weight(target: Tensor, alpha: float) -> Tensor:
    return (target - 0.5).sign().clamp_min(0) * (2 * alpha - 1) + (1 - alpha)


def _terms(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``|t - p|``, ``1 - |t - p|``, ``p`` and ``1 - p``; no difference cancels where p is near 0 or 1."""
    positive, negative = logits.sigmoid(), (-logits).sigmoid()
    rest = 1 - target
    error = torch.maximum(positive - target, negative - rest)
    confidence = torch.minimum(positive + rest, negative + target)
    return error.clamp_min(torch.finfo(error.dtype).tiny), confidence, positive, negative


def forward(logits: Tensor, target: Tensor, alpha: float, gamma: float, ignore_label: float) -> tuple[Tensor, Tensor]:
    """The loss and the divisor of each sample."""
    logits = dense_samples(logits)
    samples, labels = flat_samples(logits), flat_samples(same_layout(target, logits))
    dtype = torch.promote_types(logits.dtype, torch.float32)
    loss, beta = torch.zeros((2, len(samples)), dtype=dtype, device=logits.device)
    for block in _blocks(samples):
        sums = _sums(samples[block].to(dtype), labels[block].to(dtype), alpha, gamma, ignore_label)
        loss[block[0]] += sums[0]
        beta[block[0]] += sums[1]
    divisor = beta + EPSILON
    return loss / divisor, divisor


def backward(
    gradient: Tensor,
    divisor: Tensor,
    logits: Tensor,
    target: Tensor,
    alpha: float,
    gamma: float,
    ignore_label: float,
) -> Tensor:
    """Gradient with respect to logits, for a gradient (B,) of the losses.

    With ``e = |t - p|``: ``dL/de = -w (gamma e^(gamma - 1) log pt - e^gamma / pt)`` and ``de/dx = ± p (1 - p)``.
    """
    logits = dense_samples(logits)
    result = torch.empty_like(logits)
    samples, labels, results = flat_samples(logits), flat_samples(same_layout(target, logits)), flat_samples(result)
    scale = (gradient.to(divisor.dtype) / divisor)[:, None]
    for block in _blocks(samples):
        label = labels[block].to(divisor.dtype)
        valid = _nonzero(label - ignore_label)
        error, confidence, positive, negative = _terms(samples[block].to(divisor.dtype), label * valid)
        confidence = confidence.add_(EPSILON).clamp_max_(1)
        by_error = error**gamma / confidence - gamma * error ** (gamma - 1) * confidence.log()
        direction = (positive - label).sign_()
        weight = _weight(label, alpha).mul_(valid).mul_(scale[block[0]])
        results[block] = by_error.mul_(positive).mul_(negative).mul_(direction).mul_(weight)
    return result


def _blocks(samples: Tensor) -> Iterator[tuple[slice, slice]]:
    """Blocks of samples (B, N), the same whatever the values; the whole of it on a GPU."""
    batch, pixels = samples.shape
    size = _BLOCK * torch.get_num_threads() if samples.device.type == "cpu" else max(samples.numel(), 1)
    rows = max(1, size // max(pixels, 1))
    for row in range(0, batch, rows):
        for start in range(0, pixels, size):
            yield slice(row, row + rows), slice(start, start + size)
