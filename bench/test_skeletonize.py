"""Skeletons against scikit-image's, on one thread: shapes that take many iterations to thin."""

from collections.abc import Callable
from functools import cache

import pytest
import skimage.morphology
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor
from torch.nn.functional import interpolate

import dislayers
from bench.measure import measure

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = [(1024, 1024), (2500, 3100)]
IMPLEMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "dislayers": dislayers.skeletonize,
    "scikit-image": lambda mask: torch.from_numpy(skimage.morphology.skeletonize(mask.numpy())),
}


@cache
def picture(size: tuple[int, int]) -> Tensor:
    """Blobs a sixth of the picture wide."""
    coarse = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    return interpolate(coarse, size, mode="bicubic")[0, 0] > 0.5


@cache
def expected(size: tuple[int, int]) -> Tensor:
    return IMPLEMENTATIONS["scikit-image"](picture(size))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_skeletonize(benchmark: BenchmarkFixture, size: tuple[int, int], implementation: str) -> None:
    benchmark.group = f"skeletonize {size[0]}x{size[1]}"
    mask, work = picture(size), IMPLEMENTATIONS[implementation]
    assert torch.equal(work(mask), expected(size))
    measure(benchmark, lambda: work(mask))
