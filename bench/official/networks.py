"""Networks as their authors compose them, of PyTorch's own layers, with the parameters and names of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dislayers import RSU, ConvNormAct, DilatedRSU, Hamburger, MixFFN, MultiScaleConvAttention, Pointwise
from dislayers.nmf.reference import nmf
from dismodels.progressive import ProgressiveDecoder
from dismodels.side_outputs import SideOutputs
from dismodels.u2net import NestedU

Network = TypeVar("Network", bound=nn.Module)


def plain(model: Network) -> Network:
    """The model itself, changed: in evaluation, training and backward it now calls no op of ours."""
    for module in model.modules():
        for kind, methods in _COMPOSED.items():
            if isinstance(module, kind):
                for name, composed in methods.items():
                    setattr(module, name, MethodType(composed, module))
    return model


def _unit(self: ConvNormAct, x: Tensor) -> Tensor:
    return F.relu(self.norm(self.conv(x)), inplace=True)


def _block(self: Any, x: Tensor, pool: Callable[[Tensor], Tensor]) -> Tensor:
    residual = self.input(x)
    x = self.encoder[0](residual)
    skips = [x]
    for unit in self.encoder[1:-1]:
        x = unit(pool(x))
        skips.append(x)
    x = self.encoder[-1](x)
    for unit, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
        x = unit(torch.cat((_resized(x, skip), skip), 1))
    return x + residual


def _pooled_block(self: RSU, x: Tensor) -> Tensor:
    return _block(self, x, _pooled)


def _dilated_block(self: DilatedRSU, x: Tensor) -> Tensor:
    return _block(self, x, lambda unpooled: unpooled)


def _with_its_pooled(self: RSU | DilatedRSU, x: Tensor) -> tuple[Tensor, Tensor]:
    out = self(x)
    return out, _pooled(out)


def _features(self: NestedU, x: Tensor) -> list[Tensor]:
    skips = [self.encoder[0](x)]
    for stage in self.encoder[1:]:
        skips.append(stage(_pooled(skips[-1])))
    features = [skips.pop()]
    for stage, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
        features.append(stage(torch.cat((_resized(features[-1], skip), skip), 1)))
    return features[::-1]


def _gated(self: MultiScaleConvAttention, x: Tensor) -> Tensor:
    a = self.depthwise(x)
    branches = [column(row(a)) for row, column in zip(self.rows, self.columns, strict=True)]
    for branch in branches:
        a = a + branch
    return self.pointwise(a) * x


def _feed_forward(self: MixFFN, x: Tensor) -> Tensor:
    out: Tensor = self.project(F.gelu(nn.Conv2d.forward(self.mix, self.expand(x))))
    return out


def _global_context(self: Hamburger, x: Tensor) -> Tensor:
    features = F.relu(self.conv_in(x)).flatten(2)
    steps = self.steps if self.training else self.eval_steps
    product = nmf(features, self._bases_for(features), steps).view(x.shape)
    return F.relu(x + self.norm(self.conv_out(product)))


def _refined(self: ProgressiveDecoder, maps: Sequence[Tensor]) -> SideOutputs:
    outputs: list[tuple[Tensor, Tensor]] = []
    below: list[Tensor] = []
    for head, x in zip(reversed(self.heads), reversed(maps), strict=False):
        logits, features = head(torch.cat([*(_resized(map_, x) for map_ in below), x], 1))
        below = [features] * self.feed_features + [logits.sigmoid()] * self.feed_map
        outputs.insert(0, (logits, features))
    return SideOutputs(*map(list, zip(*outputs, strict=True)))


def _pooled(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2, stride=2, ceil_mode=True)


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


_COMPOSED: dict[type[nn.Module], dict[str, Callable[..., Any]]] = {
    ConvNormAct: {"forward": _unit},
    RSU: {"forward": _pooled_block, "forward_pooled": _with_its_pooled},
    DilatedRSU: {"forward": _dilated_block, "forward_pooled": _with_its_pooled},
    NestedU: {"features": _features},
    MultiScaleConvAttention: {"forward": _gated},
    Pointwise: {"forward": nn.Conv2d.forward},
    MixFFN: {"forward": _feed_forward},
    Hamburger: {"forward": _global_context},
    ProgressiveDecoder: {"forward": _refined},
}
