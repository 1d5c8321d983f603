"""Distance transforms against SciPy's and OpenCV's exact ones, on one thread."""

from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import interpolate

import dislayers
from bench.measure import measure

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = [(1024, 1024), (2500, 3100), (4096, 3072)]
DISTANCES: dict[str, Callable[[Tensor], Any]] = {
    "dislayers": dislayers.distance_transform,
    "OpenCV": lambda mask: cv2.distanceTransform(mask.byte().numpy(), cv2.DIST_L2, cv2.DIST_MASK_PRECISE),
    "SciPy": lambda mask: distance_transform_edt(mask.numpy()),
}
INDICES: dict[str, Callable[[Tensor], Any]] = {
    "dislayers": lambda mask: dislayers.distance_transform(mask, return_indices=True),
    "SciPy": lambda mask: distance_transform_edt(mask.numpy(), return_indices=True),
}


@cache
def picture(size: tuple[int, int]) -> Tensor:
    """Blobs a sixth of the picture wide."""
    coarse = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    return interpolate(coarse, size, mode="bicubic")[0, 0] > 0.5


@cache
def expected(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    distance, (rows, columns) = distance_transform_edt(picture(size).numpy(), return_indices=True)
    return distance, rows.astype(np.int64) * size[1] + columns


@pytest.mark.parametrize("implementation", DISTANCES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_distance_transform(benchmark: BenchmarkFixture, size: tuple[int, int], implementation: str) -> None:
    benchmark.group = f"distance transform {size[0]}x{size[1]}"
    mask, work = picture(size), DISTANCES[implementation]
    # OpenCV rounds in between.
    np.testing.assert_allclose(np.asarray(work(mask)), expected(size)[0], rtol=1e-5)
    measure(benchmark, lambda: work(mask))


@pytest.mark.parametrize("implementation", INDICES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_distance_transform_with_indices(
    benchmark: BenchmarkFixture, size: tuple[int, int], implementation: str
) -> None:
    benchmark.group = f"distance transform with indices {size[0]}x{size[1]}"
    mask, work = picture(size), INDICES[implementation]
    if implementation == "dislayers":
        assert np.array_equal(work(mask)[1], expected(size)[1])
    measure(benchmark, lambda: work(mask))
