"""Maps of 24 positive and 24 negative clicks: ours against the official algorithm in PyTorch, eager and compiled."""

from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from bench.measure import DEVICE, measure
from bench.official.click_maps import click_maps as published
from dislayers import click_maps

SIZE, CLICKS = (1024, 1024), 24
# RITM's trained networks take disks of 5 pixels; distances are divided by 260.
RADIUS = {"disk": 5.0, "distance": 260.0}


def clicks(batch: int = 1, device: str = DEVICE) -> Tensor:
    """Anywhere in the image, in whole pixels; no place is left empty, which is the most work."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, min(SIZE), (batch, 2 * CLICKS, 3), generator=generator).float().to(device)


Implementation = Callable[[Tensor, tuple[int, int], float, str], Tensor]
IMPLEMENTATIONS: dict[str, Callable[[], Implementation]] = {
    "dislayers": lambda: click_maps,
    "PyTorch": lambda: published,
    "torch.compile": lambda: torch.compile(published),
}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("encoding", RADIUS)
def test_click_maps(benchmark: BenchmarkFixture, encoding: str, implementation: str) -> None:
    benchmark.group = f"click maps, {encoding}, {CLICKS} + {CLICKS} clicks, {SIZE[0]}x{SIZE[1]}"
    points, radius, draw = clicks(), RADIUS[encoding], IMPLEMENTATIONS[implementation]()
    expected = published(points, SIZE, radius, encoding)
    torch.testing.assert_close(
        draw(points, SIZE, radius, encoding), expected, rtol=0, atol=0 if encoding == "disk" else 5e-7
    )
    measure(benchmark, lambda: draw(points, SIZE, radius, encoding))
