"""The hamburger: the published composition, its bases and steps, and what an image gives alone and in a batch."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from dislayers import Hamburger
from dislayers.nmf import reference

OFFICIAL = {
    "ham_in.conv.weight": "conv_in.weight",
    "ham_in.conv.bias": "conv_in.bias",
    "ham_out.conv.weight": "conv_out.weight",
    "ham_out.gn.weight": "norm.weight",
    "ham_out.gn.bias": "norm.bias",
}


def published(state: dict[str, Tensor], x: Tensor, bases: Tensor, steps: int) -> Tensor:
    """With weights by their official names."""
    batch, channels = x.shape[:2]
    features = x.permute(0, 2, 3, 1) @ state["ham_in.conv.weight"].flatten(1).T + state["ham_in.conv.bias"]
    features = features.clamp(min=0).permute(0, 3, 1, 2)
    product = reference.nmf(features.reshape(batch, channels, -1), bases, steps).reshape(x.shape)
    product = torch.einsum("bchw,dc->bdhw", product, state["ham_out.conv.weight"].flatten(1))
    groups = product.reshape(batch, 32, -1)
    deviation = groups.var(-1, unbiased=False, keepdim=True)
    product = ((groups - groups.mean(-1, keepdim=True)) / (deviation + 1e-5).sqrt()).reshape(x.shape)
    scale, shift = (state[f"ham_out.gn.{name}"][:, None, None] for name in ("weight", "bias"))
    return (x + product * scale + shift).clamp(min=0)


def filled(**options: object) -> tuple[Hamburger, dict[str, Tensor]]:
    """A module with weights loaded by their official names, all of them."""
    torch.manual_seed(0)
    module = Hamburger(64, **options).double()
    state = {official: torch.randn_like(module.state_dict()[own]) / 4 for official, own in OFFICIAL.items()}
    module.load_state_dict({OFFICIAL[name]: value for name, value in state.items()}, strict=True)
    return module, state


@pytest.mark.parametrize(("training", "steps"), [(True, 6), (False, 7)])
def test_official_behaviour(training: bool, steps: int) -> None:
    module, state = filled(rank=16, bases="random")
    x = torch.randn(2, 64, 5, 7, dtype=torch.float64)
    torch.manual_seed(3)
    actual = module.train(training)(x)
    torch.manual_seed(3)
    bases = normalize(torch.rand(2, 64, 16, dtype=torch.float64), dim=1)
    torch.testing.assert_close(actual, published(state, x, bases, steps))
    assert not torch.allclose(module(x), actual)


def test_seeded_bases_in_evaluation_alone() -> None:
    module, state = filled(rank=16, steps=2, eval_steps=1)
    x = torch.randn(2, 64, 4, 4, dtype=torch.float64)
    bases = module.seeded_bases.expand(2, -1, -1)
    torch.testing.assert_close(bases.norm(dim=1), torch.ones(2, 16, dtype=torch.float64))
    assert torch.equal(module.seeded_bases, filled(rank=16)[0].seeded_bases)
    assert not torch.equal(module.seeded_bases, filled(rank=16, seed=1)[0].seeded_bases)
    torch.testing.assert_close(module.eval()(x), published(state, x, bases, 1))
    assert torch.equal(module(x), module(x))
    assert not torch.equal(module.train()(x), module(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_image_alone_and_in_a_batch(dtype: torch.dtype) -> None:
    module = Hamburger(64, rank=16, steps=1).eval().to(dtype)
    x = torch.randn(3, 64, 9, 7).to(dtype)
    for i, result in enumerate(module(x)):
        torch.testing.assert_close(result, module(x[i : i + 1])[0])


def test_random_bases_differ_between_samples_of_a_batch() -> None:
    module = Hamburger(32, rank=4)
    assert not torch.allclose(*module(torch.randn(1, 32, 6, 6).expand(2, -1, -1, -1)))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_layout_dtype_and_gradients(memory_format: torch.memory_format) -> None:
    module = Hamburger(64, rank=16, steps=1)
    x = torch.randn(2, 64, 6, 5).contiguous(memory_format=memory_format).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = module(x)
    assert result.is_contiguous(memory_format=memory_format)
    result.float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in [x, *module.parameters()])


def test_state_dict_and_parameters() -> None:
    module = Hamburger(256, rank=16)
    assert set(module.state_dict()) == set(OFFICIAL.values())
    assert sum(p.numel() for p in module.parameters()) == 2 * 256**2 + 3 * 256
    assert isinstance(module.norm, nn.GroupNorm)


@pytest.mark.parametrize(
    ("options", "exception", "text"),
    [
        ({"rank": -1}, ValueError, "rank must be at least 0, got -1"),
        ({"steps": 1.5}, TypeError, "steps must be an int"),
        ({"eval_steps": -2}, ValueError, "eval_steps must be at least 0, got -2"),
        ({"bases": "fixed"}, ValueError, "bases must be one of seeded, random, got 'fixed'"),
        ({"groups": 48}, ValueError, "divisible by num_groups"),
    ],
)
def test_bad_options(options: dict[str, object], exception: type[Exception], text: str) -> None:
    with pytest.raises(exception, match=text):
        Hamburger(64, **options)


def test_compiles_whole() -> None:
    module = Hamburger(32, rank=4).eval()
    x = torch.randn(2, 32, 6, 6)
    torch.testing.assert_close(torch.compile(module, fullgraph=True, backend="aot_eager")(x), module(x))
