"""Erosion with the cross and the square, and geodesic dilation with the cross, as the metrics need them.

On a CPU ours on one thread against OpenCV, scikit-image and SciPy; on a GPU against plain PyTorch, its
``torch.compile`` and max-pooling, where ``extra_info`` has how near each comes to the speed of a copy.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from scipy import ndimage
from skimage.morphology import disk, erosion, footprint_rectangle
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

import dislayers
from bench.measure import DEVICE, GPU, measure
from dislayers.morphology import reference
from dislayers.morphology.reference import Footprint

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = [(1024, 1024), (2500, 3100), (4096, 3072)]
CROSS = disk(1)
FOOTPRINTS = {"cross": CROSS, "square": footprint_rectangle((3, 3))}

Array = Tensor | np.ndarray


def opencv_erode(mask: Tensor, iterations: int, footprint: str) -> Array:
    return cv2.erode(mask.numpy().view(np.uint8), FOOTPRINTS[footprint], iterations=iterations)


def scikit_image_erode(mask: Tensor, iterations: int, footprint: str) -> Array:
    now = mask.numpy()
    for _ in range(iterations):
        now = erosion(now, FOOTPRINTS[footprint])
    return now


def scipy_erode(mask: Tensor, iterations: int, footprint: str) -> Array:
    return ndimage.binary_erosion(mask.numpy(), FOOTPRINTS[footprint], iterations=iterations, border_value=1)


def scipy_dilate(mask: Tensor, iterations: int, within: Tensor) -> Array:
    return ndimage.binary_dilation(mask.numpy(), CROSS, iterations=iterations, mask=within.numpy())


def max_pool_erode(mask: Tensor, iterations: int, footprint: str) -> Array:
    now = (~mask)[None].half()
    for _ in range(iterations):
        if footprint == "square":
            now = max_pool2d(now, 3, 1, 1)
        else:
            now = torch.maximum(max_pool2d(now, (3, 1), 1, (1, 0)), max_pool2d(now, (1, 3), 1, (0, 1)))
    return now[0] == 0


def pytorch_dilate(mask: Tensor, iterations: int, within: Tensor) -> Tensor:
    return reference.dilate(mask, iterations, within, "cross")


ERODE: dict[str, Callable[[Tensor, int, Any], Array]] = {"dislayers": dislayers.erode}
DILATE: dict[str, Callable[[Tensor, int, Tensor], Array]] = {"dislayers": dislayers.dilate}
if GPU:
    ERODE |= {"PyTorch": reference.erode, "torch.compile": torch.compile(reference.erode), "max-pool": max_pool_erode}
    DILATE |= {"PyTorch": pytorch_dilate, "torch.compile": torch.compile(pytorch_dilate)}
else:
    ERODE |= {"OpenCV": opencv_erode, "scikit-image": scikit_image_erode, "SciPy": scipy_erode}
    DILATE |= {"SciPy": scipy_dilate}


@cache
def picture(size: tuple[int, int], seed: int) -> Tensor:
    """Blobs of some 100 pixels, with holes."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 1, size[0] // 64, size[1] // 64, generator=generator)
    return (interpolate(coarse, size, mode="bicubic")[0, 0] > 0.45).to(DEVICE)


@cache
def eroded(size: tuple[int, int], iterations: int, footprint: Footprint) -> Tensor:
    return reference.erode(picture(size, 0), iterations, footprint).cpu()


@cache
def copy_bandwidth() -> float:
    """Bytes a second, read and written, of a copy within the GPU's memory."""
    source = torch.empty(2**30, dtype=torch.uint8, device=DEVICE)
    target = torch.empty_like(source)
    target.copy_(source)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(10):
        target.copy_(source)
    end.record()
    end.synchronize()
    return 10 * 2 * source.numel() / (start.elapsed_time(end) * 1e-3)


def check_and_measure(benchmark: BenchmarkFixture, work: Callable[[], Array], expected: Tensor, traffic: int) -> None:
    """``traffic`` is the bytes that must be read and written at the least."""
    assert torch.as_tensor(work()).cpu().bool().equal(expected)
    measure(benchmark, work)
    if GPU and benchmark.enabled:
        bandwidth = traffic / benchmark.stats.stats.median
        benchmark.extra_info["of_copy_bandwidth"] = round(bandwidth / copy_bandwidth(), 3)


def check_and_measure_erosion(
    benchmark: BenchmarkFixture, size: tuple[int, int], iterations: int, footprint: Footprint, implementation: str
) -> None:
    mask, work = picture(size, 0), ERODE[implementation]
    expected = eroded(size, iterations, footprint)
    check_and_measure(benchmark, lambda: work(mask, iterations, footprint), expected, 2 * mask.numel())


@pytest.mark.parametrize("implementation", ERODE)
@pytest.mark.parametrize("iterations", [1, 5, 20])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_erode(benchmark: BenchmarkFixture, size: tuple[int, int], iterations: int, implementation: str) -> None:
    benchmark.group = f"erode {size[0]}x{size[1]}, {iterations} iteration{'s' * (iterations > 1)}"
    check_and_measure_erosion(benchmark, size, iterations, "cross", implementation)


@pytest.mark.parametrize("implementation", ERODE)
@pytest.mark.parametrize("iterations", [5, 80])
@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
def test_square_erode(benchmark: BenchmarkFixture, size: tuple[int, int], iterations: int, implementation: str) -> None:
    """80 iterations make the boundary region of Boundary IoU at 2500x3100."""
    benchmark.group = f"erode with the square {size[0]}x{size[1]}, {iterations} iterations"
    check_and_measure_erosion(benchmark, size, iterations, "square", implementation)


@pytest.mark.parametrize("implementation", DILATE)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_geodesic_dilate(benchmark: BenchmarkFixture, size: tuple[int, int], implementation: str) -> None:
    benchmark.group = f"geodesic dilate {size[0]}x{size[1]}, 5 iterations"
    within, work = picture(size, 1), DILATE[implementation]
    mask = picture(size, 0) & within
    expected = pytorch_dilate(mask, 5, within).cpu()
    check_and_measure(benchmark, lambda: work(mask, 5, within), expected, 3 * mask.numel())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_copy(benchmark: BenchmarkFixture, size: tuple[int, int]) -> None:
    """The floor of everything above: a mask read and written once, a byte a pixel."""
    benchmark.group = f"copy {size[0]}x{size[1]}"
    measure(benchmark, picture(size, 0).clone)
