"""Batch normalisation folded into the convolution before it, for evaluation."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dislayers.conv_norm_act import ConvNormAct
from dislayers.pointwise import Pointwise

Model = TypeVar("Model", bound=nn.Module)


def fold_batch_norm(model: Model) -> Model:
    """A copy of model whose convolutions do the work of the batch normalisations that directly follow them.

    ``norm(conv(x))`` is conv(x) with weights ``weight * s`` and ``(bias - mean) * s + shift``, where
    ``s = scale / sqrt(variance + eps)``. That is done in every :class:`ConvNormAct`, and where an ``nn.Sequential`` has
    a ``Conv2d`` or :class:`Pointwise` just before a ``BatchNorm2d``; an ``nn.Identity`` takes the normalisation's
    place. In other modules the order of calls is not known, so everything else is copied as it is, as are other
    subclasses, parametrised layers, layers with hooks and normalisations without running statistics.

    Args:
        model: a module in evaluation mode, with weights of any dtype, in any layout. It stays as it is and shares no
            memory with the copy, which has the weights of this moment.

    Returns:
        The copy, of model's class and in evaluation mode. Its state dict has other entries: checkpoints are loaded into
        model and saved from it.

    Raises:
        ValueError: model, or a part of it, is in training mode.

    Numerics:
        Equal to model but for rounding. Folded weights are computed in float32, or float64, and rounded to the
        convolution's dtype; a model for half precision is better folded before it is cast than after.

    Source:
        Jacob et al., 2018, section 3.2; the arithmetic is that of ``torch.nn.utils.fusion``.
    """
    for name, module in model.named_modules():
        if module.training:
            raise ValueError(
                f"model must be in evaluation mode, {f'its {name}' if name else type(model).__name__} is in training "
                "mode; call model.eval() first"
            )
    folded = copy.deepcopy(model)
    for module in list(folded.modules()):
        for conv, norm in _successive(module):
            fused = _fused(getattr(module, conv), getattr(module, norm))
            if fused is not None:
                setattr(module, conv, fused)
                setattr(module, norm, nn.Identity())
    return folded.eval()


def _successive(module: nn.Module) -> Iterable[tuple[str, str]]:
    """The names of children of which the second surely gets the output of the first."""
    if isinstance(module, ConvNormAct):
        return [("conv", "norm")]
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        # named_children would leave out a module's second place, and make neighbours of those around it.
        return pairwise(list(module._modules))
    return []


def _fused(conv: nn.Module, norm: nn.Module) -> nn.Conv2d | None:
    # A parametrised layer is of a class of its own.
    if not isinstance(conv, nn.Conv2d) or type(conv) not in (nn.Conv2d, Pointwise):
        return None
    if type(norm) is not nn.BatchNorm2d or norm.running_mean is None:
        return None
    if any((conv._forward_hooks, conv._forward_pre_hooks, norm._forward_hooks, norm._forward_pre_hooks)):
        return None
    precision = torch.promote_types(norm.running_mean.dtype, torch.float32)
    return fuse_conv_bn_eval(conv, copy.deepcopy(norm).to(precision))
