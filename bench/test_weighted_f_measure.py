"""Weighted F against the definition in SciPy and OpenCV, on one thread: wrong edges, and errors nearly everywhere."""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.ndimage import distance_transform_edt
from torch.nn.functional import interpolate

import dismetrics
from bench.measure import measure

pytestmark = pytest.mark.usefixtures("one_thread")

Images = tuple[NDArray[np.uint8], NDArray[np.bool_]]
SIZES = [(1024, 1024), (2500, 3100), (4096, 3072)]
EPSILON = np.spacing(1)


def with_scipy(pred: NDArray[np.uint8], gt: NDArray[np.bool_]) -> float:
    """PySODMetrics' formula, its gaussian by rows and by columns."""
    error = np.abs((pred - pred.min()) / float(pred.max() - pred.min()) - gt)
    distance, (rows, columns) = distance_transform_edt(~gt, return_indices=True)
    gaussian = np.exp(-(np.arange(-3, 4) ** 2) / 50)
    gaussian /= gaussian.sum()
    blurred = cv2.sepFilter2D(error[rows, columns], -1, gaussian, gaussian, borderType=cv2.BORDER_CONSTANT)
    missed = np.minimum(error, blurred)[gt]
    false = (error * (2 - np.exp(np.log(0.5) / 5 * distance)))[~gt].sum()
    true, recall = gt.sum() - missed.sum(), 1 - missed.mean()
    precision = true / (true + false + EPSILON)
    return float(2 * recall * precision / (recall + precision + EPSILON))


IMPLEMENTATIONS: dict[str, Callable[..., object]] = {
    "dislayers": dismetrics.weighted_f_measure,
    "SciPy, OpenCV": with_scipy,
}


@cache
def pair(size: tuple[int, int], soft: bool) -> Images:
    """Blobs a sixth of the picture wide; a prediction with ramps for edges, or grey all over."""
    coarse = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    values = interpolate(coarse, size, mode="bicubic")[0, 0]
    steepness = 3 if soft else 40
    pred = ((values - 0.52) * steepness + 0.5).clamp(0, 1) * 255
    return pred.byte().numpy(), (values > 0.5).numpy()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("soft", [False, True], ids=["edges", "soft"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_weighted_f_measure(
    benchmark: BenchmarkFixture, size: tuple[int, int], soft: bool, implementation: str
) -> None:
    benchmark.group = f"weighted F {size[0]}x{size[1]}, {'soft' if soft else 'edges'}"
    images, work = pair(size, soft), IMPLEMENTATIONS[implementation]
    assert work(*images) == pytest.approx(with_scipy(*images), abs=1e-12)
    measure(benchmark, lambda: work(*images))
