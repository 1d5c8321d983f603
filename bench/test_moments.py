"""Moments against OpenCV's and NumPy's counts, on one thread."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

import dislayers
from bench.measure import measure

pytestmark = pytest.mark.usefixtures("one_thread")


def opencv(mask: Tensor) -> Tensor:
    found = cv2.moments(mask.numpy().view(np.uint8), binaryImage=True)
    return torch.tensor([found["m00"], found["m01"], found["m10"]])


def numpy(mask: Tensor) -> Tensor:
    by_row, by_column = (np.count_nonzero(mask.numpy(), axis=axis) for axis in (1, 0))
    return torch.tensor([by_row.sum(), by_row @ np.arange(by_row.size), by_column @ np.arange(by_column.size)])


SIZES = [(1024, 1024), (2500, 3100)]
IMPLEMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "dislayers": dislayers.moments,
    "OpenCV": opencv,
    "NumPy": numpy,
}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_moments(benchmark: BenchmarkFixture, size: tuple[int, int], implementation: str) -> None:
    benchmark.group = f"moments {size[0]}x{size[1]}"
    mask, work = torch.rand(size, generator=torch.Generator().manual_seed(0)) < 0.3, IMPLEMENTATIONS[implementation]
    torch.testing.assert_close(work(mask).double(), numpy(mask).double(), rtol=1e-6, atol=0)
    measure(benchmark, lambda: work(mask))
