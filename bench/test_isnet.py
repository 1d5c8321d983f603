"""IS-Net whole: inference and a training step, eager and compiled, in fp32 and bf16.

Inference also with batch norms folded, and so as one CUDA graph: what prediction runs.

On a GPU at the paper's 1024x1024; on a CPU at 256x256, batch 1, in fp32 and eager. ``extra_info`` has the peak of GPU
memory in GiB.
"""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from bench.measure import DEVICE, GPU, measure
from dislayers import fold_batch_norm
from dislosses import deep_supervision_loss
from dismodels import create_model
from dismodels.graph import GraphedFunction

SIZE = 1024 if GPU else 256
PRECISIONS = ["fp32", "bf16"] if GPU else ["fp32"]
MODES = ["eager", "compiled"] if GPU else ["eager"]
INFERENCE = ["eager", "folded", "graph", "compiled"] if GPU else ["eager", "folded"]


def build(mode: str) -> torch.nn.Module:
    torch.manual_seed(0)
    model = create_model("isnet").to(DEVICE)
    return torch.compile(model) if mode == "compiled" else model  # type: ignore[return-value]


def inferring(mode: str) -> Callable[[Tensor], object]:
    model = build(mode).eval()
    if mode in ("folded", "graph"):
        model = fold_batch_norm(model)
    return GraphedFunction(lambda image: model(image).logits[0], torch.device(DEVICE)) if mode == "graph" else model


def cast(precision: str) -> "torch.autocast | nullcontext[None]":
    return torch.autocast(DEVICE, torch.bfloat16) if precision == "bf16" else nullcontext()


def images(batch: int) -> Tensor:
    return torch.rand(batch, 3, SIZE, SIZE, device=DEVICE) - 0.5


@pytest.mark.parametrize("mode", INFERENCE)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("batch", [1, 8] if GPU else [1])
def test_inference(benchmark: BenchmarkFixture, batch: int, precision: str, mode: str) -> None:
    benchmark.group = f"isnet inference {SIZE}² batch {batch} {precision}"
    network, image = inferring(mode), images(batch)

    def infer() -> None:
        with torch.inference_mode(), cast(precision):
            network(image)

    measure(benchmark, infer)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("batch", [8] if GPU else [1])
def test_training_step(benchmark: BenchmarkFixture, batch: int, precision: str, mode: str) -> None:
    benchmark.group = f"isnet training step {SIZE}² batch {batch} {precision}"
    model, image = build(mode), images(batch)
    mask = (torch.rand(batch, 1, SIZE, SIZE, device=DEVICE) > 0.5).float()
    optimizer = torch.optim.Adam(model.parameters())

    def step() -> None:
        with cast(precision):
            loss = deep_supervision_loss(model(image).logits, mask)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    measure(benchmark, step)
