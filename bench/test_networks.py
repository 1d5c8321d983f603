"""Whole networks: inference and a training step, ours against the same ones of PyTorch's modules, eager and compiled.

On a GPU at 1024x1024, also in bf16, where inference runs as one CUDA graph too; on a CPU at 256x256, batch 1, fp32,
eager and on one thread. Ours has its batch norms folded for inference, as prediction has. ``extra_info`` has the peak
of GPU memory in GiB. ``python -m bench.networks`` compares results and measures memory on a CPU.
"""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from bench.measure import DEVICE, GPU, measure
from bench.official.networks import plain
from dislayers import fold_batch_norm
from dislosses import deep_supervision_loss
from dismodels import create_model
from dismodels.graph import GraphedFunction

pytestmark = pytest.mark.usefixtures("one_thread")

NETWORKS = ["isnet", "mscan_base", "progressive"]
SIZE = 1024 if GPU else 256
PRECISIONS = ["fp32", "bf16"] if GPU else ["fp32"]

Network = Callable[[Tensor], object]


def folded(model: nn.Module) -> Network:
    return model if model.training else fold_batch_norm(model)


def graphed(model: nn.Module) -> Network:
    network = fold_batch_norm(model)
    return GraphedFunction(lambda image: tree_leaves(network(image))[0], torch.device(DEVICE))


IMPLEMENTATIONS: dict[str, tuple[Callable[[nn.Module], Network], torch.memory_format]] = {
    "dislayers": (folded, torch.channels_last),
    "dislayers, NCHW": (folded, torch.contiguous_format),
    "PyTorch": (plain, torch.channels_last),
    "PyTorch, NCHW": (plain, torch.contiguous_format),
}
COMPILED: dict[str, tuple[Callable[[nn.Module], Network], torch.memory_format]] = {
    "dislayers, compiled": (torch.compile, torch.channels_last),
    "torch.compile": (lambda model: torch.compile(plain(model)), torch.channels_last),
}
GRAPHED = {"dislayers, graph": (graphed, torch.channels_last)}
TRAINING = IMPLEMENTATIONS | (COMPILED if GPU else {})
INFERENCE = TRAINING | (GRAPHED if GPU else {})


def made(network: str, implementation: str, training: bool) -> tuple[nn.Module, Network]:
    """The model, which has the parameters, and what runs it."""
    torch.manual_seed(0)
    make, layout = INFERENCE[implementation]
    model = create_model(network).train(training).to(DEVICE, memory_format=layout)
    return model, make(model)


def images(batch: int) -> Tensor:
    return torch.rand(batch, 3, SIZE, SIZE, device=DEVICE) - 0.5


def cast(precision: str) -> "torch.autocast | nullcontext[None]":
    return torch.autocast(DEVICE, torch.bfloat16) if precision == "bf16" else nullcontext()


@pytest.mark.parametrize("implementation", INFERENCE)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("batch", [1, 8] if GPU else [1])
@pytest.mark.parametrize("network", NETWORKS)
def test_inference(benchmark: BenchmarkFixture, network: str, batch: int, precision: str, implementation: str) -> None:
    benchmark.group = f"{network} inference {SIZE}² batch {batch} {precision}"
    _, run = made(network, implementation, training=False)
    image = images(batch)

    def infer() -> None:
        with torch.inference_mode(), cast(precision):
            run(image)

    measure(benchmark, infer)


@pytest.mark.parametrize("implementation", TRAINING)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("batch", [4] if GPU else [1])
@pytest.mark.parametrize("network", NETWORKS)
def test_training_step(
    benchmark: BenchmarkFixture, network: str, batch: int, precision: str, implementation: str
) -> None:
    benchmark.group = f"{network} training step {SIZE}² batch {batch} {precision}"
    model, run = made(network, implementation, training=True)
    image, mask = images(batch), (torch.rand(batch, 1, SIZE, SIZE, device=DEVICE) > 0.5).float()
    optimizer = torch.optim.Adam(model.parameters())

    def step() -> None:
        with cast(precision):
            loss = _loss(run(image), mask)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    measure(benchmark, step)


def _loss(answer: object, mask: Tensor) -> Tensor:
    """That of maps of logits; of a backbone's features something that reaches them all."""
    logits = getattr(answer, "logits", None)
    if logits is not None:
        return deep_supervision_loss(logits, mask)
    return torch.stack([features.float().square().mean() for features in tree_leaves(answer)]).sum()
