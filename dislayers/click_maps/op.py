"""The op ``dislayers::click_maps``, and the function that people call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from dislayers._runtime import check
from dislayers._runtime.backend import Implementation
from dislayers._runtime.launch import in_triton
from dislayers._runtime.library import register
from dislayers._runtime.native import missing_kernel
from dislayers.click_maps import native, reference
from dislayers.click_maps.reference import Encoding

ENCODINGS = get_args(Encoding)


def _fake(points: Tensor, size: Sequence[int], *_: object) -> Tensor:
    return points.new_empty((points.shape[0], 2, *size), dtype=torch.float32)


_click_maps = register(
    "dislayers::click_maps(Tensor points, SymInt[] size, float radius, float scale, str encoding) -> Tensor",
    reference.click_maps,
    _fake,
    kernels=[
        in_triton("dislayers.click_maps.kernel.launch_click_maps"),
        Implementation("native", native.click_maps, missing_kernel("click_maps")),
    ],
)


def click_maps(
    points: Tensor, size: Sequence[int], radius: float = 5, encoding: Encoding = "disk", scale: float = 1
) -> Tensor:
    """Draw clicks as two maps, of the positive and of the negative ones, for a network to see.

    With ``d`` the distance of a pixel to the nearest click of a map, and ``r = radius * scale``::

        disk      1 where d <= r, else 0
        distance  tanh(2 d / r)
        gaussian  exp(-d² / (2 r²))

    Args:
        points: (B, 2N, 3), of any real dtype: row and column in pixels, fractions allowed, and the order of the click,
            which is not read. The first N are positive, the rest negative. A point whose row and column are both
            negative is none.
        size: height and width of the maps.
        radius: of a disk, in pixels; of a distance, where tanh(2) is reached (the official code trains with 260); of a
            gaussian, its standard deviation. From 1e-6 to 1e6.
        encoding: "disk", "distance" or "gaussian".
        scale: multiplies points and radius, for maps of another size than the image that was clicked on. From 1e-6 to
            1e6.

    Returns:
        float32 (B, 2, height, width), contiguous. A map without clicks is 0; with distances, 1.

    Raises:
        TypeError: points is no real tensor, size is no pair of ints, or radius or scale is no number.
        ValueError: points has another shape, size is negative, radius or scale is out of range, or encoding is another
            word.
        NotImplementedError: points are differentiated by.

    Numerics:
        In float32 (float64 for float64 points), with the official order of roundings: disks are the official ones to
        the last pixel, the others within rounding. Memory is that of the maps, whatever the number of clicks. An
        infinite coordinate reaches no pixel; one of NaN makes its whole map 0 (disk) or NaN, as in the official code.
        Deterministic.

    Source:
        Disks and distances: RITM (Sofiiuk et al., 2021, section 3.1) and its official ``DistMaps``.
    """
    check.real("points", points)
    if points.ndim != 3 or points.shape[2] != 3 or points.shape[1] % 2:
        raise ValueError(f"points must have the shape (B, 2N, 3), got {tuple(points.shape)}")
    if not isinstance(size, Sequence) or len(size) != 2:
        raise TypeError(f"size must be a pair, height and width, got {size!r}")
    for length in size:
        check.count("size", length)
    check.within("radius", radius, 1e-6, 1e6)
    check.within("scale", scale, 1e-6, 1e6)
    check.one_of("encoding", encoding, ENCODINGS)
    result: Tensor = _click_maps(points, list(size), radius, scale, encoding)
    return result
