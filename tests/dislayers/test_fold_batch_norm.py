"""A folded model is the model, but for rounding and its batch normalisations, and leaves the model alone."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from dislayers import RSU, ConvNormAct, fold_batch_norm
from dismodels import create_model

NETWORKS = {"isnet": {"width": 0.0625}, "isnet_gt_encoder": {"width": 0.25}, "u2net": {"width": 0.0625}}


def learnt(model: nn.Module) -> nn.Module:
    """The model as after training: every normalisation shifts and scales."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in ((module.weight, 0.5, 1.5), (module.bias, -1, 1)):
                if values is not None:
                    nn.init.uniform_(values, low, high)
            if module.running_mean is not None:
                module.running_mean.uniform_(-1, 1)
                module.running_var.uniform_(0.5, 2)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_networks_answer_as_before(name: str, layout: torch.memory_format) -> None:
    model = learnt(create_model(name, **NETWORKS[name])).to(memory_format=layout)
    before = copy.deepcopy(model.state_dict())
    folded = fold_batch_norm(model)
    assert type(folded) is type(model)
    assert (norms(folded), norms(model) > 0) == (0, True)
    assert same(model.state_dict(), before)
    image = torch.rand(2, model.in_channels, 65, 48) - 0.5
    torch.testing.assert_close(folded.predict(image), model.predict(image), rtol=0, atol=1e-5)
    for actual, expected in zip(folded(image).features, model(image).features, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    strides = {key: tensor.stride() for key, tensor in model.state_dict().items()}
    assert all(tensor.stride() == strides[key] for key, tensor in folded.state_dict().items())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
def test_pairs_in_a_sequence_are_the_published_formula(bias: bool, affine: bool, padding_mode: str) -> None:
    conv = nn.Conv2d(4, 6, 3, 2, padding=1, groups=2, bias=bias, padding_mode=padding_mode)
    model = learnt(nn.Sequential(conv, nn.BatchNorm2d(6, eps=0.1, affine=affine), nn.GELU())).double()
    folded = fold_batch_norm(model)
    norm = model[1]
    scale = (norm.weight if affine else 1) / (norm.running_var + 0.1).sqrt()
    torch.testing.assert_close(folded[0].weight, conv.weight * scale[:, None, None, None], rtol=1e-12, atol=0)
    shift = ((conv.bias if bias else 0) - norm.running_mean) * scale + (norm.bias if affine else 0)
    torch.testing.assert_close(folded[0].bias, shift, rtol=1e-12, atol=1e-12)
    x = torch.randn(2, 4, 7, 8, dtype=torch.float64)
    torch.testing.assert_close(folded(x), model(x))
    assert [type(module) for module in folded] == [nn.Conv2d, nn.Identity, nn.GELU]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype: torch.dtype) -> None:
    model = learnt(RSU(3, 3, 4, 5)).to(dtype)
    folded, exact = fold_batch_norm(model), fold_batch_norm(copy.deepcopy(model).double())
    assert {tensor.dtype for tensor in folded.state_dict().values()} == {dtype}
    for key, tensor in folded.state_dict().items():
        half_a_digit = 1.01 * torch.finfo(dtype).eps / 2
        torch.testing.assert_close(tensor.double(), exact.state_dict()[key], rtol=half_a_digit, atol=1e-7)
    x = torch.randn(1, 3, 16, 16, dtype=dtype)
    wanted = exact(x.double())
    errors = [(answer(x).double() - wanted).abs().mean() for answer in (model, folded)]
    assert errors[1] < 1.5 * errors[0]


def test_what_may_not_be_folded_stays() -> None:
    class Reversed(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            for module in reversed(self):
                x = module(x)
            return x

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.conv(x).relu())

    def conv() -> nn.Conv2d:
        return nn.Conv2d(3, 3, 1)

    hooked, relu = conv(), nn.ReLU()
    hooked.register_forward_hook(lambda module, inputs, output: output * 2)
    models = [
        nn.Sequential(conv(), nn.ReLU(), nn.BatchNorm2d(3)),
        nn.Sequential(nn.BatchNorm2d(3), conv()),
        nn.Sequential(relu, conv(), relu, nn.BatchNorm2d(3)),
        nn.Sequential(hooked, nn.BatchNorm2d(3)),
        nn.Sequential(spectral_norm(conv()), nn.BatchNorm2d(3)),
        nn.Sequential(conv(), nn.BatchNorm2d(3, track_running_stats=False)),
        nn.Sequential(nn.ConvTranspose2d(3, 3, 1), nn.BatchNorm2d(3)),
        Reversed(conv(), nn.BatchNorm2d(3)),
        Own(),
        nn.Sequential(conv(), nn.GroupNorm(3, 3)),
    ]
    x = torch.randn(2, 3, 4, 5)
    for model in map(learnt, models):
        folded = fold_batch_norm(model)
        assert norms(folded) == norms(model)
        assert same(folded.state_dict(), model.state_dict())
        torch.testing.assert_close(folded(x), model(x), rtol=0, atol=0)


def test_shared_modules_are_folded_where_they_stand() -> None:
    conv, unit = nn.Conv2d(3, 3, 3, padding=1), ConvNormAct(3, 3)
    model = learnt(
        nn.Sequential(nn.Sequential(conv, nn.BatchNorm2d(3)), unit, nn.Sequential(conv, nn.BatchNorm2d(3)), unit, conv)
    )
    folded = fold_batch_norm(model)
    x = torch.randn(2, 3, 6, 5)
    torch.testing.assert_close(folded(x), model(x))
    assert norms(folded) == 0
    assert torch.equal(folded[4].weight, conv.weight)


def test_the_copy_shares_nothing_and_folds_once() -> None:
    model = learnt(nn.Sequential(ConvNormAct(3, 4), nn.Conv2d(4, 2, 1)))
    folded = fold_batch_norm(model)
    kept = copy.deepcopy(folded.state_dict())
    again = fold_batch_norm(folded)
    assert same(again.state_dict(), kept)
    for tensor in model.state_dict().values():
        tensor.zero_()
    assert same(folded.state_dict(), kept)


def test_gradients_reach_input_and_folded_weights() -> None:
    model = learnt(nn.Sequential(ConvNormAct(3, 4), nn.Conv2d(4, 2, 1)))
    model[1].requires_grad_(False)
    folded = fold_batch_norm(model)
    x, twin = (torch.ones(1, 3, 6, 6).requires_grad_() for _ in range(2))
    folded(x).sum().backward()
    model(twin).sum().backward()
    torch.testing.assert_close(x.grad, twin.grad)
    assert [weight.grad is not None for weight in folded.parameters()] == [True, True, False, False]
    assert all(weight.is_leaf for weight in folded.parameters())


def test_training_mode_is_refused() -> None:
    model = nn.Sequential(ConvNormAct(3, 4))
    with pytest.raises(ValueError, match="model must be in evaluation mode, Sequential is in training mode"):
        fold_batch_norm(model)
    model.eval()[0].norm.train()
    with pytest.raises(ValueError, match=r"its 0\.norm is in training mode; call model\.eval\(\) first"):
        fold_batch_norm(model)
