"""Optimisers of the recipes, and how their learning rates go with the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

Schedule = Callable[[int], float]
"""The factor of the learning rates at a step, counted from 0."""


def constant(step: int) -> float:
    """The learning rates as they are."""
    return 1.0


def poly(steps: int, warm_up: int, power: float = 1.0) -> Schedule:
    """Down to 0 after so many steps, as a power of what is left; before that up from nearly 0 in a straight line.

    Args:
        steps: at which the factor is 0.
        warm_up: steps that the way up takes; it multiplies what the power gives.
        power: 1 for a straight line.

    Source:
        mmcv's "poly" policy with linear warm-up from 1e-6, as in SegNeXt's configurations.
    """

    def factor(step: int) -> float:
        left: float = max(1 - step / steps, 0.0) ** power
        return left if step >= warm_up else left * (1 - (1 - step / warm_up) * (1 - 1e-6))

    return factor


def adam(model: nn.Module, learning_rate: float) -> Optimizer:
    """Adam over all that learns."""
    return torch.optim.Adam(_learning(model.parameters()), lr=learning_rate)


def adamw(model: nn.Module, learning_rate: float, weight_decay: float, faster: nn.Module, times: float) -> Optimizer:
    """AdamW without decay of normalisations, and with a higher learning rate in a part of the model.

    Args:
        model: what learns.
        learning_rate: outside of ``faster``.
        weight_decay: of all parameters but those of normalisation layers.
        faster: a part of model, such as its head.
        times: how many times as fast that part learns.

    Source:
        SegNeXt's configurations: no decay where a name says "norm", ten times the learning rate where it says "head".
    """
    in_faster = set(faster.parameters())
    kept = {p for module in model.modules() if isinstance(module, _NORMS) for p in module.parameters(recurse=False)}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in _learning(model.parameters()):
        rate = learning_rate * (times if parameter in in_faster else 1)
        groups.setdefault((rate, 0.0 if parameter in kept else weight_decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]
    )


_NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)


def _learning(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return [parameter for parameter in parameters if parameter.requires_grad]
