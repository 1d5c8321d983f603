"""The plain networks compute what ours do, without an op of ours, and memory is counted to the byte."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.networks import difference, enliven, peak_memory
from bench.official.networks import plain
from dismodels import create_model
from dismodels.backbones.mscan import MSCAN

MODELS: dict[str, Callable[[], nn.Module]] = {
    "isnet": lambda: create_model("isnet", width=0.1),
    "isnet_gt_encoder": lambda: create_model("isnet_gt_encoder", in_channels=3, width=0.1),
    "u2net": lambda: create_model("u2net", width=0.1),
    "mscan": lambda: MSCAN((8, 8, 8, 8), (1, 1, 2, 1), (2, 2, 2, 2)),
}


class Ops(TorchDispatchMode):
    """The namespaces of all ops that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.namespaces: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.namespaces.add(func.namespace)
        return func(*args, **(kwargs or {}))


def both(name: str) -> tuple[nn.Module, nn.Module]:
    ours = MODELS[name]()
    enliven(ours)
    return ours, plain(copy.deepcopy(ours))


def outputs_and_gradients(model: nn.Module, image: Tensor) -> list[Tensor]:
    outputs = tree_leaves(model(image))
    torch.manual_seed(1)
    sum((output * torch.randn(output.shape)).sum() for output in outputs).backward()
    return [*outputs, *(parameter.grad for parameter in model.parameters())]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", MODELS)
def test_the_plain_network_is_ours(name: str, layout: torch.memory_format) -> None:
    ours, theirs = both(name)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    # Normalised by running statistics, so that rounding is not magnified.
    image = torch.randn(2, 3, 67, 50).contiguous(memory_format=layout)
    found, expected = (outputs_and_gradients(m.eval().to(memory_format=layout), image) for m in (ours, theirs))
    for a, b in zip(found, expected, strict=True):
        assert (a - b).norm() <= 1e-4 * b.norm()


@pytest.mark.parametrize("name", MODELS)
def test_the_plain_network_trains_as_ours(name: str) -> None:
    ours, theirs = both(name)
    image = torch.randn(4, 3, 128, 128)
    exact = copy.deepcopy(theirs).double()
    results = []
    for model, x in ((ours, image), (theirs, image), (exact, image.double())):
        torch.manual_seed(0)
        results.append(outputs_and_gradients(model, x))
    # All together: a bias before batch norm has a gradient of rounding errors alone.
    assert difference(results[0], results[2]) <= 3 * difference(results[1], results[2])
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(theirs.state_dict()[key], value, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_the_plain_network_calls_no_op_of_ours(name: str) -> None:
    _, theirs = both(name)
    with Ops() as ops:
        outputs_and_gradients(theirs, torch.randn(2, 3, 128, 128))
    assert ops.namespaces == {"aten"}


def test_ours_is_another() -> None:
    ours, _ = both("mscan")
    with Ops() as ops:
        outputs_and_gradients(ours, torch.randn(2, 3, 64, 64))
    assert "dislayers" in ops.namespaces


def test_peak_memory() -> None:
    x = torch.zeros(1000)

    def step() -> list[Tensor]:
        y = x + 1  # 4000 bytes, then 8000, then 4000
        y = y * 2
        return [y + 1]

    assert 8000 <= peak_memory(step) < 8100  # the numbers 1 and 2 are tensors for a moment
    assert difference([torch.tensor([3.0, 5.0])], [torch.tensor([3.0, 4.0])]) == pytest.approx(0.2)
