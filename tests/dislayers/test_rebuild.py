import gc
import io
import weakref

import pytest
import torch
from torch import Tensor, nn

from dislayers._runtime.rebuild import is_rebuildable, rebuildable, rebuilding, recipe_of


class Counted:
    """relu of a tensor, which knows how often it was made."""

    def __init__(self, x: Tensor) -> None:
        self.x, self.calls = x.detach(), 0

    def __call__(self) -> Tensor:
        self.calls += 1
        return self.x.relu()


def test_gradients_come_from_the_recipe_and_equal_those_of_the_tensor() -> None:
    conv = nn.Conv2d(3, 4, 3)
    x = torch.randn(2, 3, 6, 7, requires_grad=True)
    expected = torch.autograd.grad(conv(x.relu()).square().sum(), (x, *conv.parameters()))
    recipe = Counted(x)
    activation = rebuildable(x.relu(), recipe)
    with rebuilding(activation):
        out = conv(activation)
    assert recipe.calls == 0
    actual = torch.autograd.grad(out.square().sum(), (x, *conv.parameters()))
    assert recipe.calls == 1
    for a, b in zip(actual, expected, strict=True):
        assert torch.equal(a, b)


def test_backward_does_not_need_the_tensor() -> None:
    conv, x = nn.Conv2d(3, 3, 1, bias=False), torch.randn(1, 3, 4, 4)
    activation = rebuildable(x.relu(), Counted(x))
    with rebuilding(activation):
        out = conv(activation)
    activation.zero_()
    (gradient,) = torch.autograd.grad(out.sum(), conv.weight)
    assert torch.allclose(gradient, x.relu().sum((0, 2, 3)).view(1, 3, 1, 1).expand(3, 3, 1, 1))


def test_other_tensors_are_kept_as_ever() -> None:
    x, y = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    recipe = Counted(x)
    with rebuilding(rebuildable(x.relu(), recipe)):
        product = x * y
    first, second = torch.autograd.grad(product.sum(), (x, y))
    assert torch.equal(first, y)
    assert torch.equal(second, x)
    assert recipe.calls == 0


def test_other_tensors_changed_in_place_are_refused() -> None:
    x, y = torch.randn(3, 4), torch.randn(3, 4, requires_grad=True)
    with rebuilding(rebuildable(x.relu(), Counted(x))):
        product = x * y.sin()
    x.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        product.sum().backward()


def test_a_tensor_without_a_recipe_makes_itself() -> None:
    x = torch.randn(3, requires_grad=True)
    made = recipe_of(x)()
    assert made.data_ptr() == x.data_ptr()
    assert not made.requires_grad


def test_a_tensor_changed_in_place_is_made_by_its_recipe_no_longer() -> None:
    recipe = Counted(torch.randn(3))
    x = rebuildable(torch.randn(3), recipe)
    x.add_(1)
    assert not is_rebuildable(x)
    weight = torch.ones(3, requires_grad=True)
    with rebuilding(x):
        product = x * weight
    (gradient,) = torch.autograd.grad(product.sum(), weight)
    assert torch.equal(gradient, x)
    assert torch.equal(recipe_of(x)(), x)
    assert recipe.calls == 0


def test_what_cannot_be_made_and_has_changed_raises() -> None:
    x = torch.randn(3)
    recipe = recipe_of(x)
    x.add_(1)
    with pytest.raises(RuntimeError, match=r"a tensor \(3,\) that backward needs was changed in place"):
        recipe()


def test_a_recipe_lives_as_long_as_its_tensor_and_is_not_saved_with_it() -> None:
    recipe = Counted(torch.randn(3))
    tensor, watched = rebuildable(torch.randn(3), recipe), weakref.ref(recipe)
    torch.save(tensor, io.BytesIO())
    del recipe
    gc.collect()
    assert watched() is not None
    del tensor
    gc.collect()
    assert watched() is None
