"""Maps of clicks: every proof of an op, the definition as a loop, and the official disks to the last pixel."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.official.click_maps import click_maps as official
from dislayers import click_maps
from dislayers.click_maps import native, reference
from tests.harness import Op, check_op

ENCODINGS = ("disk", "distance", "gaussian")
NO_CLICK = [-1.0, -1.0, -1.0]
# float32 rounding: of the maps, which are at most 1.
CLOSE = {"rtol": 1e-6, "atol": 3e-7}


def reference_maps(
    points: Tensor, size: tuple[int, int], radius: float = 5, encoding: str = "disk", scale: float = 1
) -> Tensor:
    return reference.click_maps(points, size, radius, scale, encoding)


def make_inputs(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator, **options: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Quarters of pixels, which every dtype holds; of some points one coordinate is negative, of some both are."""
    batch, count, height, width = shape
    points = torch.randint(-8, 120, (batch, 2 * count, 3), generator=generator) / 4
    points[torch.rand(batch, 2 * count, generator=generator) < 0.3] = -1
    return (points.to(dtype), (height, width)), {"radius": 5.25, **options}


def op(encoding: str, dtypes: Sequence[torch.dtype] = (torch.float32,), **more: Any) -> Op:
    return Op(
        function=click_maps,
        reference=reference_maps,
        overload=torch.ops.dislayers.click_maps.default,
        overload_arguments=lambda points, size, radius, encoding: ((points, size, radius, 1.0, encoding), {}),
        make_inputs=lambda *of: make_inputs(*of, encoding=encoding),
        shapes=[(2, 3, 17, 19), (3, 2, 33, 150), (1, 1, 1, 1), (0, 2, 5, 5), (2, 0, 5, 5), (1, 2, 0, 5)],
        dtypes=dtypes,
        tolerances=dict.fromkeys(dtypes, (CLOSE["rtol"], CLOSE["atol"])),
        like_first=False,
        **more,
    )


def refused(points: Any = None, size: Any = (2, 2), **options: Any) -> Callable[[], Tensor]:
    return lambda: click_maps(torch.zeros(1, 2, 3) if points is None else points, size, **options)


test_disk = check_op(
    op(
        "disk",
        dtypes=(torch.float32, torch.int64),
        errors=[
            (refused([1]), TypeError, "points must be a bool, integer or floating tensor, got list"),
            (refused(torch.zeros(1, 3, 3)), ValueError, r"points must have the shape \(B, 2N, 3\), got \(1, 3, 3\)"),
            (refused(torch.zeros(2, 3)), ValueError, r"points must have the shape \(B, 2N, 3\), got \(2, 3\)"),
            (refused(torch.zeros(1, 2, 2)), ValueError, r"points must have the shape \(B, 2N, 3\), got \(1, 2, 2\)"),
            (refused(size=5), TypeError, "size must be a pair, height and width, got 5"),
            (refused(size=(1, 2, 3)), TypeError, "size must be a pair, height and width"),
            (refused(size=(1.5, 2)), TypeError, "size must be an int of at least 0, got float 1.5"),
            (refused(size=(-1, 2)), ValueError, "size must be at least 0, got -1"),
            (refused(radius=0), ValueError, r"radius must be in \[1e-06, 1000000.0\], got 0"),
            (refused(radius="5"), TypeError, "radius must be a number"),
            (refused(scale=math.nan), ValueError, "scale must be in .* got nan"),
            (refused(encoding="dt"), ValueError, "encoding must be one of disk, distance, gaussian, got 'dt'"),
        ],
    )
)
test_distance = check_op(op("distance"))
test_gaussian = check_op(op("gaussian"))


def value(encoding: str, squared: float, radius: float) -> float:
    if encoding == "disk":
        return float(squared <= radius**2)
    if encoding == "distance":
        return math.tanh(2 * math.sqrt(squared) / radius)
    return math.exp(-squared / (2 * radius**2))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("function", [click_maps, reference_maps])
def test_equals_a_loop_over_pixels_and_clicks(function: Callable[..., Tensor], encoding: str) -> None:
    (points, (height, width)), _ = make_inputs((2, 3, 13, 21), torch.float32, torch.Generator().manual_seed(3))
    maps = function(points, (height, width), 2.5, encoding, 0.5)
    for b, sign, row, column in torch.cartesian_prod(*map(torch.arange, maps.shape)).tolist():
        clicks = points[b, 3 * sign : 3 * sign + 3].tolist()
        squares = [(row - y / 2) ** 2 + (column - x / 2) ** 2 for y, x, _ in clicks if max(y, x) >= 0]
        expected = value(encoding, min(squares, default=math.inf), 1.25)
        assert maps[b, sign, row, column].item() == pytest.approx(expected, rel=1e-6, abs=3e-7)


coordinates = st.floats(-3, 90, width=32) | st.integers(-1, 70).map(float)


@given(
    points=st.lists(st.tuples(coordinates, coordinates), min_size=2, max_size=8).filter(lambda x: len(x) % 2 == 0),
    radius=st.sampled_from([0.5, 1.7, 5, 20, 260]),
    scale=st.sampled_from([1, 0.5, 1.3]),
)
@settings(max_examples=20, deadline=None)
def test_equals_the_official_formula(points: list[tuple[float, float]], radius: float, scale: float) -> None:
    clicks = torch.tensor([[*point, 0.0] for point in points])[None]
    disks = click_maps(clicks, (66, 70), radius, "disk", scale)
    assert torch.equal(disks, official(clicks, (66, 70), radius, "disk", scale))
    distances = click_maps(clicks, (66, 70), radius, "distance", scale)
    torch.testing.assert_close(distances, official(clicks, (66, 70), radius, "distance", scale), **CLOSE)


def test_a_pixel_at_the_radius_belongs_to_the_disk() -> None:
    points = torch.tensor([[[5.0, 5.0, 0.0], NO_CLICK]])
    disk = click_maps(points, (11, 11), 5)[0, 0]
    assert disk.sum() == 81
    assert disk[5, 0] == disk[8, 9] == disk[9, 2] == 1


@pytest.mark.parametrize(("encoding", "empty"), [("disk", 0), ("distance", 1), ("gaussian", 0)])
def test_without_clicks(encoding: Any, empty: float) -> None:
    for points in (torch.tensor([[NO_CLICK, NO_CLICK]]), torch.zeros(1, 0, 3), torch.full((1, 2, 3), -0.5)):
        assert (click_maps(points, (3, 300), 260, encoding) == empty).all()


def test_a_point_is_none_only_if_both_coordinates_are_negative() -> None:
    points = torch.tensor([[[-1.0, 2.0, 0.0], [3.0, -1.0, 0.0]]])
    maps = click_maps(points, (5, 5), 1)
    assert maps.nonzero().tolist() == [[0, 0, 0, 2], [0, 1, 3, 0]]


def test_the_order_of_clicks_does_not_matter() -> None:
    points = torch.rand(2, 6, 3, generator=torch.Generator().manual_seed(0)) * 40
    other = points.view(2, 2, 3, 3).flip(2).reshape(2, 6, 3).clone()
    other[..., 2] = 7
    for encoding in ENCODINGS:
        assert torch.equal(click_maps(points, (40, 40), 9, encoding), click_maps(other, (40, 40), 9, encoding))


@pytest.mark.parametrize("infinite", [math.inf, 1e30, 3e38])
def test_infinite_coordinates_reach_no_pixel(infinite: float) -> None:
    points = torch.tensor([[[1.0, 1.0, 0.0], [infinite, 1.0, 0.0], [1.0, infinite, 0.0], [infinite, -infinite, 0.0]]])
    for encoding in ENCODINGS:
        maps, alone = (click_maps(x, (4, 5), 2, encoding, 2) for x in (points, points[:, :1].repeat(1, 2, 1)))
        assert torch.equal(maps[:, 0], alone[:, 0])
        assert (maps[:, 1] == (encoding == "distance")).all()


def test_nan_spoils_its_own_map() -> None:
    points = torch.tensor([[[1.0, math.nan, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, math.nan], [2.0, 1.0, 0.0]]])
    assert (click_maps(points, (66, 300))[:, 0] == 0).all()
    for encoding in ENCODINGS[1:]:
        maps = click_maps(points, (66, 300), 5, encoding)
        assert maps[:, 0].isnan().all()
        assert not maps[:, 1].isnan().any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.uint8, torch.bool])
def test_points_of_any_dtype(dtype: torch.dtype) -> None:
    points = torch.tensor([[[1, 0, 1], [0, 1, 1]]]).to(dtype)
    for encoding in ENCODINGS:
        maps = click_maps(points, (9, 9), 3, encoding)
        assert maps.dtype == torch.float32
        torch.testing.assert_close(maps, click_maps(points.float(), (9, 9), 3, encoding), **CLOSE)


def test_differentiating_raises() -> None:
    maps = click_maps(torch.ones(1, 2, 3, requires_grad=True), (4, 4), 2, "gaussian")
    with pytest.raises(NotImplementedError, match="no gradient"):
        maps.sum().backward()


@pytest.mark.skipif(native.extension is None, reason="the extension is not there")
def test_threads_change_nothing() -> None:
    points, before = torch.rand(2, 12, 3, generator=torch.Generator().manual_seed(0)) * 300, torch.get_num_threads()
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(native.click_maps(points, (300, 290), 60.0, 1.0, "distance"))
    torch.set_num_threads(before)
    assert torch.equal(*found)
