"""In training, residual U-blocks keep convolutions' outputs alone and give what plain PyTorch gives."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dislayers import RSU, ConvNormAct, DilatedRSU
from dislayers.conv_norm_act import module

BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "RSU": lambda: RSU(5, 3, 4, 6),
    "DilatedRSU": lambda: DilatedRSU(3, 4, 6),
    "ConvNormAct": lambda: ConvNormAct(3, 6, stride=2),
}


@pytest.fixture(autouse=True)
def fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there is no kernel."""
    monkeypatch.setattr(module, "has_kernel", lambda op, device: True)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """What makes all units run in plain PyTorch from then on."""
    return lambda: monkeypatch.setattr(ConvNormAct, "_is_fused", lambda self, x: False)


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    block = BLOCKS[name]()
    for unit in block.modules():
        if isinstance(unit, nn.BatchNorm2d):
            nn.init.normal_(unit.weight)
            nn.init.normal_(unit.bias)
    return block


def step(block: nn.Module, x: Tensor, pooled: bool) -> list[Tensor]:
    """Outputs, gradients of the input and the parameters, and the state after a step."""
    x = x.clone().requires_grad_()
    outputs = block.forward_pooled(x) if pooled else (block(x),)  # type: ignore[operator]
    loss = sum((out.square() * (1 + i)).sum() for i, out in enumerate(outputs))
    gradients = torch.autograd.grad(loss, [x, *block.parameters()])  # type: ignore[arg-type]
    return [*outputs, *gradients, *block.state_dict().values()]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["dense", "channels_last"])
@pytest.mark.parametrize("pooled", [False, True], ids=["", "pooled"])
@pytest.mark.parametrize("name", BLOCKS)
def test_a_step_is_that_of_plain_pytorch(
    name: str, pooled: bool, layout: torch.memory_format, plain: Callable[[], None]
) -> None:
    block, x = made(name).double(), torch.randn(2, 3, 37, 22, dtype=torch.float64).contiguous(memory_format=layout)
    same = deepcopy(block)
    ours = step(block, x, pooled)
    plain()
    for actual, expected in zip(ours, step(same, x, pooled), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


def kept(work: Callable[[], object]) -> int:
    """Bytes of all that a call keeps for backward."""
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = work()
    del result
    return sum(storages.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keeps_at_most_half(dtype: torch.dtype, plain: Callable[[], None]) -> None:
    block, x = RSU(7, 64, 32, 64).to(dtype), torch.randn(1, 64, 64, 64, dtype=dtype, requires_grad=True)
    parameters = sum(p.numel() * p.element_size() for p in block.parameters())
    ours = kept(lambda: block(x))
    plain()
    assert ours <= (kept(lambda: block(x)) - parameters) / 2


def test_backward_may_be_repeated() -> None:
    block, x = made("RSU"), torch.randn(1, 3, 16, 16, requires_grad=True)
    loss = block(x).square().sum()
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    (second,) = torch.autograd.grad(loss, x)
    assert torch.equal(first, second)


def test_is_checkpointed_like_any_module() -> None:
    block, x = made("RSU"), torch.randn(1, 3, 16, 16, requires_grad=True)
    (expected,) = torch.autograd.grad(block(x).square().sum(), x)
    (actual,) = torch.autograd.grad(checkpoint(block, x, use_reentrant=False).square().sum(), x)
    torch.testing.assert_close(actual, expected)


def test_a_changed_activation_changes_no_gradient() -> None:
    """What backward computes anew does not look at the map that it was."""
    unit, conv, x = ConvNormAct(3, 4), ConvNormAct(4, 4), torch.randn(1, 3, 8, 8)
    activation = unit(x)
    out = conv(activation)
    expected = torch.autograd.grad(out.square().sum(), conv.conv.weight, retain_graph=True)
    with torch.no_grad():
        activation.zero_()
    assert torch.equal(torch.autograd.grad(out.square().sum(), conv.conv.weight)[0], expected[0])


def test_another_normalisation_is_left_as_it_is() -> None:
    unit = ConvNormAct(3, 4)
    unit.norm = nn.GroupNorm(2, 4)
    x = torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(unit(x), unit.norm(unit.conv(x)).relu())
    frozen = ConvNormAct(3, 4)
    frozen.norm.eval()
    torch.testing.assert_close(frozen(x), frozen.conv(x).relu())
    assert frozen.norm.num_batches_tracked == 0
