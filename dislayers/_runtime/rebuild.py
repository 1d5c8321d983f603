"""Activations that backward computes anew, from what is kept anyway, instead of keeping them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

Recipe = Callable[[], Tensor]

# Beside the tensors, not on them: a tensor with attributes is saved and copied with all of these.
_recipes = WeakTensorKeyDictionary()


def rebuildable(tensor: Tensor, recipe: Recipe) -> Tensor:
    """The same tensor, of which is now known what makes it: its values, dtype and layout, from other tensors alone."""
    _recipes[tensor] = recipe
    return tensor


def is_rebuildable(tensor: Tensor) -> bool:
    """Whether it is known what makes a tensor; nothing is while torch.compile traces."""
    return not torch.compiler.is_compiling() and tensor in _recipes


def recipe_of(tensor: Tensor) -> Recipe:
    """What makes a tensor anew; where nothing is known, what gives the tensor itself."""
    if tensor in _recipes:
        recipe: Recipe = _recipes[tensor]
        return recipe
    kept = tensor.detach()
    return lambda: kept


@contextmanager
def rebuilding(*tensors: Tensor | None) -> Iterator[None]:
    """What runs inside and would save one of these tensors for backward saves its recipe, if there is one."""
    recipes = {_identity(x): _recipes[x] for x in tensors if x is not None and x in _recipes}
    if not recipes:
        yield
        return

    def pack(saved: Tensor) -> Tensor | Recipe:
        recipe: Tensor | Recipe = recipes.get(_identity(saved), saved)
        return recipe

    def unpack(kept: Tensor | Recipe) -> Tensor:
        return kept if isinstance(kept, Tensor) else kept()

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield


def _identity(tensor: Tensor) -> tuple[object, ...]:
    """Autograd hands its hooks another tensor object over the same memory."""
    return tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()
