"""The arguments of a call, and the ways in which their tensors can lie in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map


class Inputs(NamedTuple):
    """The arguments of a call."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def tensors(self) -> list[Tensor]:
        return [x for x in tree_leaves(tuple(self)) if isinstance(x, Tensor)]

    def map(self, change: Callable[[Tensor], Tensor]) -> Inputs:
        return Inputs(*tree_map(lambda x: change(x) if isinstance(x, Tensor) else x, tuple(self)))

    def exact(self) -> Inputs:
        return self.map(lambda x: x.cpu().double() if x.is_floating_point() else x.cpu())

    def with_leaves(self, positions: Sequence[int]) -> Inputs:
        def leaf(x: Any) -> Any:
            return x.detach().requires_grad_() if isinstance(x, Tensor) else x

        args = (tree_map(leaf, x) if i in positions else x for i, x in enumerate(self.args))
        return Inputs(tuple(args), self.kwargs)

    def call(self, function: Callable[..., Any]) -> list[Any]:
        return tree_leaves(function(*self.args, **self.kwargs))


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x.clone()


def _sliced(x: Tensor) -> Tensor:
    """A crop of a larger tensor."""
    return x.new_zeros([size + 3 for size in x.shape])[(slice(1, -2),) * x.ndim].copy_(x)


def _transposed(x: Tensor) -> Tensor:
    return x.transpose(-1, -2).contiguous().transpose(-1, -2)


LAYOUTS: Mapping[str, Sequence[Callable[[Tensor], Tensor]]] = {
    "contiguous": [torch.clone],
    "channels_last": [_channels_last],
    "sliced": [_sliced],
    "transposed": [_transposed],
    "batch_last": [lambda x: x.movedim(0, -1).contiguous().movedim(-1, 0)],
    "expanded": [lambda x: x[:1].expand_as(x), torch.clone],
    "mixed": [_channels_last, _transposed, _sliced],
}
"""How the first tensor, the second and so on lie in memory; the last entry holds for all that follow."""

INCOMING: Mapping[str, Callable[[Tensor], Tensor]] = {
    "dense": torch.clone,
    "sliced": _sliced,
    "expanded": lambda x: x.new_full((), 0.75).expand(x.shape),
}
"""How the gradient that comes into the backward lies in memory."""
