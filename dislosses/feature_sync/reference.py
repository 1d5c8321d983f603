"""Distances of pairs of maps, and their closed form with the gradient for where no kernel runs, in plain PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dislayers._runtime.layout import dense_samples, flat_samples, same_layout
from dislayers._runtime.precision import at_least_float32
from dislosses.precision import dtype_of_losses

DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l2": lambda feature, guide: (feature - guide).square(),
    "l1": lambda feature, guide: (feature - guide).abs(),
    "smooth_l1": lambda feature, guide: F.smooth_l1_loss(feature, guide, reduction="none"),
    "kl": lambda feature, guide: F.kl_div(feature.log_softmax(1), guide.softmax(1), reduction="none"),
}

# Elements a thread works on at a time: every intermediate result of a block then stays in the cache.
_BLOCK = 128 * 1024


def feature_sync(
    features: Sequence[Tensor],
    guides: Sequence[Tensor],
    sample_weight: Tensor | None,
    weights: Sequence[float],
    distance: str,
) -> Tensor:
    """``w_d mean(s distance(f_d, g_d))`` of each pair of maps (B, C, ...), with a weight ``s`` a sample."""
    losses = []
    for feature, guide, weight in zip(features, guides, weights, strict=True):
        feature = at_least_float32(feature)
        distances = DISTANCES[distance](feature, guide.to(feature.dtype))
        if sample_weight is not None:
            distances = distances.flatten(1) * sample_weight.to(distances.dtype)[:, None]
        losses.append(weight * distances.mean())
    return torch.stack(losses)


def share(feature: Tensor, weight: float) -> float:
    """What an element's distance counts for; the mean over no element is NaN, as PyTorch's."""
    return weight / feature.numel() if feature.numel() else float("nan")


def scales(maps: Sequence[Tensor], weights: Sequence[float]) -> list[tuple[float, float]]:
    """What the gradients of maps are multiplied by in the forward pass, and what in the backward pass.

    In float16 a share would be lost below its smallest number, before a loss scaler's factor can save it.
    """
    shares = [share(x, weight) for x, weight in zip(maps, weights, strict=True)]
    return [(1.0, y) if x.dtype == torch.float16 else (y, 1.0) for x, y in zip(maps, shares, strict=True)]


def forward(
    features: Sequence[Tensor],
    guides: Sequence[Tensor],
    sample_weight: Tensor | None,
    weights: Sequence[float],
    distance: str,
    with_gradients: bool,
    overwrite: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """The losses and, if wanted, the gradients for an incoming gradient of ones but for the second of their scales.

    ``overwrite`` is for the backward pass alone.
    """
    features = [dense_samples(feature) for feature in features]
    gradients = [torch.empty_like(feature) for feature in features] if with_gradients else []
    blocks = _kl_blocks if distance == "kl" else _blocks
    losses = []
    for pair, (feature, (written, _)) in enumerate(zip(features, scales(features, weights), strict=True)):
        sums = [at_least_float32(feature.new_zeros(()))]
        weight: float | Tensor = 1.0
        for sample, *maps in blocks(sample_weight is None, feature, guides[pair], *gradients[pair : pair + 1]):
            if sample_weight is not None:
                weight = sample_weight[sample].to(sums[0].dtype)
            sums.append(weight * _CLOSED_FORMS[distance](weight * written, *maps))
        losses.append((share(feature, weights[pair]) * torch.stack(sums).sum()).to(dtype_of_losses(features)))
    return torch.stack(losses), gradients


def scale(gradients: Sequence[Tensor], upstream: Tensor, weights: Sequence[float]) -> list[Tensor]:
    """The gradients times the incoming gradient (pairs,) and the second of their scales."""
    products = _products(gradients, upstream, weights)
    return [torch.mul(x, y, out=torch.empty_like(x)) for x, y in zip(gradients, products, strict=True)]


def scale_in_place(gradients: Sequence[Tensor], upstream: Tensor, weights: Sequence[float]) -> None:
    """The same in their own memory, untouched where the product is 1."""
    for gradient, product in zip(gradients, _products(gradients, upstream, weights), strict=True):
        if gradient.device.type != "cpu" or product != 1:
            gradient.mul_(product)


# Of one dimension: numbers of none would be rounded to half precision before they multiply.
def _products(gradients: Sequence[Tensor], upstream: Tensor, weights: Sequence[float]) -> list[Tensor]:
    return [upstream[pair : pair + 1] * factor for pair, (_, factor) in enumerate(scales(gradients, weights))]


def _blocks(whole: bool, feature: Tensor, guide: Tensor, *gradient: Tensor) -> Iterator[tuple[Any, ...]]:
    """A sample's number with a block of its elements in every map; all samples are the first one if it may be so."""
    maps = [flat_samples(x) for x in (feature, same_layout(guide, feature), *gradient)]
    if whole and all(x.is_contiguous() for x in maps):
        maps = [x.view(1, -1) for x in maps]
    size = _BLOCK * torch.get_num_threads() if feature.device.type == "cpu" else max(feature.numel(), 1)
    for sample, rows in enumerate(zip(*maps, strict=True)):
        for block in zip(*(x.split(size) for x in rows), strict=True):
            yield sample, *block


def _kl_blocks(_: bool, *maps: Tensor) -> Iterator[tuple[Any, ...]]:
    """A sample's number with some rows of all its channels in every map."""
    rows = max(1, _BLOCK * torch.get_num_threads() // max(1, maps[0].shape[1] * math.prod(maps[0].shape[3:])))
    for sample, images in enumerate(zip(*maps, strict=True)):
        for block in zip(*(x.split(rows, 1) if x.ndim > 1 else [x] for x in images), strict=True):
            yield sample, *block


def _of_difference(slope_of: Callable[[Tensor], tuple[Tensor, Tensor, float]]) -> Callable[..., Tensor]:
    """The sum of a distance that looks at the difference only, from ``(sum, slope / factor, factor)``."""

    def closed_form(scale: float | Tensor, feature: Tensor, guide: Tensor, *gradient: Tensor) -> Tensor:
        feature = at_least_float32(feature)
        total, slope, factor = slope_of(feature - guide.to(feature.dtype))
        for out in gradient:
            torch.mul(slope, scale * factor, out=out)
        return total

    return closed_form


def _l2(difference: Tensor) -> tuple[Tensor, Tensor, float]:
    return difference.dot(difference), difference, 2


def _l1(difference: Tensor) -> tuple[Tensor, Tensor, float]:
    sign = difference.sign()
    return sign.dot(difference), sign, 1


def _smooth_l1(difference: Tensor) -> tuple[Tensor, Tensor, float]:
    slope = difference.clamp(-1, 1)
    return slope.dot(difference.sub_(slope, alpha=0.5)), slope, 1


def _kl(scale: float | Tensor, feature: Tensor, guide: Tensor, *gradient: Tensor) -> Tensor:
    """``sum q (log q - log p)`` over channels, the first dimension; its slope is ``p - q``."""
    feature = at_least_float32(feature)
    log_p, log_q = feature.log_softmax(0), guide.to(feature.dtype).log_softmax(0)
    q = log_q.exp()
    total = (q * (log_q - log_p)).sum()
    for out in gradient:
        torch.mul(log_p.exp_().sub_(q), scale, out=out)
    return total


_CLOSED_FORMS: dict[str, Callable[..., Tensor]] = {
    "l2": _of_difference(_l2),
    "l1": _of_difference(_l1),
    "smooth_l1": _of_difference(_smooth_l1),
    "kl": _kl,
}
