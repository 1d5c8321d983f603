"""Connected components against OpenCV's, scikit-image's and SciPy's, on one thread: blobs, and a dense fence."""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest
import scipy.ndimage
import skimage.measure
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor
from torch.nn.functional import interpolate

import dislayers
from bench.measure import measure

pytestmark = pytest.mark.usefixtures("one_thread")


def opencv(mask: Tensor, connectivity: int) -> Tensor:
    return torch.from_numpy(cv2.connectedComponents(mask.numpy().view(np.uint8), connectivity=connectivity)[1])


def scipy_(mask: Tensor, connectivity: int) -> Tensor:
    structure = scipy.ndimage.generate_binary_structure(2, connectivity // 4)
    return torch.from_numpy(scipy.ndimage.label(mask.numpy(), structure)[0])


SIZES = [(1024, 1024), (2500, 3100)]
IMPLEMENTATIONS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "dislayers": lambda mask, connectivity: dislayers.connected_components(mask, connectivity)[0],
    "OpenCV": opencv,
    "scikit-image": lambda mask, connectivity: torch.from_numpy(
        skimage.measure.label(mask.numpy(), connectivity=connectivity // 4)
    ),
    "SciPy": scipy_,
}


@cache
def picture(name: str, size: tuple[int, int]) -> Tensor:
    """Blobs a sixth of the picture wide, or diagonal wires of 3 pixels, 14 apart."""
    if name == "blobs":
        coarse = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
        return interpolate(coarse, size, mode="bicubic")[0, 0] > 0.5
    rows, columns = torch.arange(size[0])[:, None], torch.arange(size[1])
    return ((rows + columns) % 14 < 3) | ((rows - columns) % 14 < 3)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("connectivity", [8, 4])
@pytest.mark.parametrize("name", ["blobs", "fence"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_connected_components(
    benchmark: BenchmarkFixture, size: tuple[int, int], name: str, connectivity: int, implementation: str
) -> None:
    benchmark.group = f"components of {name} {size[0]}x{size[1]}, {connectivity} neighbours"
    mask, work = picture(name, size), IMPLEMENTATIONS[implementation]
    # OpenCV numbers the components in another order.
    labels, expected = work(mask, connectivity), IMPLEMENTATIONS["scikit-image"](mask, connectivity)
    assert torch.equal(labels > 0, expected > 0)
    assert labels.max() == expected.max()
    measure(benchmark, lambda: work(mask, connectivity))
