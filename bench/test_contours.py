"""Contours and their polygons against OpenCV's, on one thread: few long contours, and many short ones."""

from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor
from torch.nn.functional import interpolate

import dislayers
from bench.measure import measure
from bench.official.human_correction_effort import OPENCV_DISTANCE

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = (2500, 3100)
EPSILON = 2.0
# What approxPolyDP of the installed OpenCV measures.


def _find(mask: Tensor) -> Any:
    return cv2.findContours(mask.numpy().view(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)[0]


def _joined(curves: Any) -> Tensor:
    return torch.from_numpy(np.concatenate(curves)[:, 0])


@cache
def picture(kind: str) -> Tensor:
    """Blobs a sixth of the picture wide, or a fence of crossed wires."""
    if kind == "fence":
        row, column = torch.meshgrid(*map(torch.arange, SIZE), indexing="ij")
        return ((row + column) % 24 < 5) | ((row - column) % 24 < 5)
    coarse = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    return interpolate(coarse, SIZE, mode="bicubic")[0, 0] > 0.5


@pytest.mark.parametrize("implementation", ["dislayers", "OpenCV"])
@pytest.mark.parametrize("kind", ["blobs", "fence"])
def test_contours(benchmark: BenchmarkFixture, kind: str, implementation: str) -> None:
    benchmark.group = f"contours {kind} {SIZE[0]}x{SIZE[1]}"
    mask = picture(kind)
    assert torch.equal(dislayers.contours(mask).points, _joined(_find(mask)))
    work: Callable[[Tensor], object] = dislayers.contours if implementation == "dislayers" else _find
    measure(benchmark, lambda: work(mask))


@pytest.mark.parametrize("implementation", ["dislayers", "OpenCV"])
@pytest.mark.parametrize("kind", ["blobs", "fence"])
def test_approximate_polygons(benchmark: BenchmarkFixture, kind: str, implementation: str) -> None:
    benchmark.group = f"approximate_polygons {kind} {SIZE[0]}x{SIZE[1]}"
    points, lengths, *_ = dislayers.contours(picture(kind))
    curves = _find(picture(kind))

    def ours() -> Tensor:
        return dislayers.approximate_polygons(points, lengths, EPSILON, True, OPENCV_DISTANCE).points

    def theirs() -> list[Any]:
        return [cv2.approxPolyDP(curve, EPSILON, True) for curve in curves]

    assert torch.equal(ours(), _joined(theirs()))
    measure(benchmark, ours if implementation == "dislayers" else theirs)
