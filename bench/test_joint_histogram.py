"""Joint histograms against NumPy's, on one thread: of a mask with soft edges, of a soft map, and of floats."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor
from torch.nn.functional import interpolate

import dislayers
from bench.measure import measure

pytestmark = pytest.mark.usefixtures("one_thread")


def numpy(pred: Tensor, gt: Tensor) -> Tensor:
    steps = pred.numpy() if pred.dtype == torch.uint8 else (pred.numpy() * 255).astype(np.uint8)
    joint = gt.numpy().astype(np.uint16) << 8 | steps
    return torch.from_numpy(np.bincount(joint.ravel(), minlength=512).reshape(2, 256))


SIZES = [(1024, 1024), (2500, 3100)]
IMPLEMENTATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "dislayers": dislayers.joint_histogram,
    "NumPy": numpy,
}
# How steep the edge of a blob is: values between 0 and 1 are a few percent of the pixels, or nearly all.
STEEPNESS = {"mask": 40.0, "soft map": 1.0}


def pair(size: tuple[int, int], steepness: float) -> tuple[Tensor, Tensor]:
    """Blobs a sixth of the picture wide, in float64."""
    coarse = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    field = interpolate(coarse, size, mode="bicubic")[0, 0] - 0.5
    return (field * steepness + 0.5).clamp(0, 1).double(), field > 0


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64], ids=["uint8", "float64"])
@pytest.mark.parametrize("picture", STEEPNESS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_joint_histogram(
    benchmark: BenchmarkFixture, size: tuple[int, int], picture: str, dtype: torch.dtype, implementation: str
) -> None:
    name = str(dtype).removeprefix("torch.")
    benchmark.group = f"joint histogram {size[0]}x{size[1]}, {picture} in {name}"
    pred, gt = pair(size, STEEPNESS[picture])
    pred = pred if dtype.is_floating_point else (pred * 255).to(dtype)
    work = IMPLEMENTATIONS[implementation]
    assert torch.equal(work(pred, gt), numpy(pred, gt))
    measure(benchmark, lambda: work(pred, gt))
