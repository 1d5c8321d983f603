"""The mix-FFN: its layers one after the other, whatever goes in bands and whatever backward keeps."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dislayers import DepthwiseGELU, MixFFN, mix_ffn


def composed(model: MixFFN, x: Tensor) -> Tensor:
    out: Tensor = model.project(F.gelu(nn.Conv2d.forward(model.mix, model.expand(x))))
    return out


def made(channels: int = 6, hidden: int = 20) -> MixFFN:
    torch.manual_seed(0)
    return MixFFN(channels, hidden)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(2, 6, 33, 9), (1, 6, 1, 1), (0, 6, 4, 4)])
def test_values_and_gradients_are_those_of_the_layers(shape: tuple[int, ...], layout: torch.memory_format) -> None:
    model = made().to(memory_format=layout)  # type: ignore[call-overload]
    x = torch.randn(shape).contiguous(memory_format=layout).requires_grad_()
    results = [
        (out, *torch.autograd.grad(out.sin().sum(), (x, *model.parameters()))) for out in (model(x), composed(model, x))
    ]
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("height", [14, 15, 21, 23, 29])
def test_bands_make_the_whole(height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mix_ffn, "_NUMBERS", 400)
    monkeypatch.setattr(mix_ffn, "_ROWS", 7)
    model, x = made(), torch.randn(2, 6, height, 9)
    seen: list[int] = []
    model.expand.register_forward_hook(lambda module, given, out: seen.append(out.shape[2]))
    with torch.no_grad():
        found = model(x)
    torch.testing.assert_close(found, composed(model, x))
    assert max(seen[:-1]) <= 9
    assert found.is_contiguous(memory_format=torch.contiguous_format)


class Doubled(DepthwiseGELU):
    """A layer that gives something else than the one it replaces."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def hooked(model: MixFFN) -> None:
    model.mix.register_forward_hook(lambda module, given, out: 2 * out)


def hooked_in_place(model: MixFFN) -> None:
    model.mix.register_forward_hook(lambda module, given, out: out.mul_(2))


def replaced(model: MixFFN) -> None:
    replacement = Doubled(20)
    replacement.load_state_dict(model.mix.state_dict())
    model.mix = replacement


@pytest.mark.parametrize("change", [hooked, hooked_in_place, replaced])
def test_backward_sees_what_a_changed_layer_gave(change: Callable[[MixFFN], None]) -> None:
    model, x = made(), torch.randn(1, 6, 5, 5)
    doubled = copy.deepcopy(model)
    with torch.no_grad():
        doubled.project.weight.mul_(2)
    expected = torch.autograd.grad(doubled(x).sin().sum(), doubled.project.weight)[0]
    change(model)
    found = torch.autograd.grad(model(x).sin().sum(), model.project.weight)[0]
    torch.testing.assert_close(found, 2 * expected)


def test_a_layer_that_sees_more_rows_is_not_called_on_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mix_ffn, "_NUMBERS", 400)
    model, x = made(), torch.randn(1, 6, 40, 9)
    model.mix = DepthwiseGELU(20, 5)
    with torch.no_grad():
        torch.testing.assert_close(model(x), composed(model, x))


def test_backward_keeps_one_wide_map() -> None:
    model, x = made(4, 64), torch.randn(1, 4, 16, 16, requires_grad=True)
    kept: set[int] = set()

    def pack(tensor: Tensor) -> Tensor:
        if tensor.numel() == 64 * 256:
            kept.add(tensor.data_ptr())
        return tensor

    # What the model's own hooks take does not come by these.
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = model(x)
    assert len(kept) == 1
    out.sum().backward()


@pytest.mark.parametrize("layer", ["mix", "project"])
def test_weights_changed_before_backward_are_refused(layer: str) -> None:
    model, x = made(), torch.randn(1, 6, 5, 5)
    out = model(x)
    with torch.no_grad():
        getattr(model, layer).weight.mul_(2)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation|changed in place"):
        out.sum().backward()


@pytest.mark.parametrize("grad", [True, False])
def test_it_compiles_whole(grad: bool) -> None:
    model, x = made(), torch.randn(1, 6, 40, 8)
    with torch.set_grad_enabled(grad):
        found = torch.compile(model, fullgraph=True)(x)
    torch.testing.assert_close(found, composed(model, x), rtol=1e-4, atol=1e-5)


def test_autocast_gives_the_gradients_of_its_layers() -> None:
    model, x = made(), torch.randn(2, 6, 12, 9)
    gradients = []
    for run in (model, lambda x: composed(model, x)):
        with torch.autocast("cpu", torch.bfloat16):
            out = run(x)
        assert out.dtype is torch.bfloat16
        gradients.append(torch.autograd.grad(out.float().sum(), list(model.parameters())))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05 * expected.abs().max().item())
