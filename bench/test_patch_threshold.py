"""Best thresholds of 64x64 patches against a loop over thresholds in PyTorch, patches together; one thread on a CPU."""

from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

import dislayers
from bench.measure import DEVICE, measure

pytestmark = pytest.mark.usefixtures("one_thread")

BATCH, SIZE, PATCH = 4, 512, 64


def loop(probability: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The definition, all patches at a time."""
    grid = (BATCH, 1, SIZE // PATCH, PATCH, SIZE // PATCH, PATCH)
    p, y = probability.view(grid), mask.view(grid)
    scores = []
    for k in range(1, 20):
        found = p > k / 20
        tp, fp = (found & y).sum((3, 5)).double(), (found & ~y).sum((3, 5)).double()
        fn, tn = (~found & y).sum((3, 5)).double(), (~found & ~y).sum((3, 5)).double()
        foreground = torch.where(tp + fp + fn > 0, tp / (tp + fp + fn), 1.0)
        background = torch.where(tn + fp + fn > 0, tn / (tn + fp + fn), 1.0)
        scores.append((foreground + background) / 2)
    stacked = torch.stack(scores)
    threshold = (stacked.argmax(0) + 1).double() / 20
    return threshold.float(), stacked.amax(0).float(), (p > threshold[:, :, :, None, :, None]).view(mask.shape)


IMPLEMENTATIONS: dict[str, Callable[[], Callable[[Tensor, Tensor], tuple[Tensor, ...]]]] = {
    "dislayers": lambda: lambda p, y: dislayers.patch_threshold(p, y, PATCH),
    "PyTorch": lambda: loop,
    "torch.compile": lambda: torch.compile(loop),
}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_patch_threshold(benchmark: BenchmarkFixture, implementation: str) -> None:
    benchmark.group = f"thresholds of {PATCH}x{PATCH} patches, {BATCH}x{SIZE}x{SIZE}"
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(BATCH, 1, 16, 16, generator=generator)
    truth = torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic")
    noise = torch.randn(truth.shape, generator=generator)
    # At steps of 1/1024 none is a threshold rounded to float32, with which PyTorch compares.
    probability = (10 * (truth - 0.5) + noise).sigmoid().mul(1024).round().div(1024).to(DEVICE)
    mask = (truth > 0.5).to(DEVICE)
    work = IMPLEMENTATIONS[implementation]()
    for ours, expected in zip(work(probability, mask), loop(probability, mask), strict=True):
        assert torch.equal(ours, expected)
    measure(benchmark, lambda: work(probability, mask))
