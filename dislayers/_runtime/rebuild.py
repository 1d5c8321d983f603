"""Activations that backward computes anew, from what is kept anyway, instead of keeping them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch._subclasses import FakeTensor
from torch.utils.weak import WeakTensorKeyDictionary

Recipe = Callable[[], Tensor]

# Beside the tensors, not on them: a tensor with attributes is saved and copied with all of these. Each recipe stands
# with the version of the tensor that it makes: one that was then changed in place is made by it no longer.
_recipes = WeakTensorKeyDictionary()


def rebuildable(tensor: Tensor, recipe: Recipe) -> Tensor:
    """Remember how to make a tensor again, with the same values, dtype and layout, and return the tensor itself."""
    _recipes[tensor] = recipe, tensor._version
    return tensor


def is_rebuildable(tensor: Tensor) -> bool:
    """Whether it is known how to make a tensor again; while torch.compile traces, it never is."""
    return _known(tensor) is not None


def recipe_of(tensor: Tensor) -> Recipe:
    """What makes a tensor again; where nothing is known, what gives the tensor itself.

    The latter raises RuntimeError, as autograd does, if the tensor has been changed in place since.
    """
    return _known(tensor) or _unchanged(tensor)


@contextmanager
def rebuilding(*tensors: Tensor | None) -> Iterator[None]:
    """While this is active, operations that save one of these tensors for backward save its recipe, if there is one.

    Of the others they save what :func:`recipe_of` gives: autograd itself does not ask whether a tensor that came by a
    hook was changed in place.
    """
    known = [(x, _known(x)) for x in tensors if x is not None]
    recipes = {_identity(x): recipe for x, recipe in known if recipe is not None}
    if not recipes:
        yield
        return

    def pack(saved: Tensor) -> Recipe:
        return recipes.get(_identity(saved)) or _unchanged(saved)

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda recipe: recipe()):
        yield


def _known(tensor: Tensor) -> Recipe | None:
    if torch.compiler.is_compiling() or isinstance(tensor, FakeTensor) or tensor not in _recipes:
        return None
    recipe, version = _recipes[tensor]
    return recipe if tensor._version == version else None


def _unchanged(tensor: Tensor) -> Recipe:
    kept, version = tensor.detach(), tensor._version

    def unchanged() -> Tensor:
        if kept._version != version:
            raise RuntimeError(f"a tensor {tuple(kept.shape)} that backward needs was changed in place after forward")
        return kept

    return unchanged


def _identity(tensor: Tensor) -> tuple[object, ...]:
    """Autograd hands its hooks another tensor object over the same memory."""
    return tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()
