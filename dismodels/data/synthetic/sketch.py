"""A vector drawing of an object, its pose in the picture, and its raster."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from dismodels.data.synthetic.curves import Points

COLOURS = 4
TONES = 63  # inks are 1 + TONES * colour + tone; ink 0 is no object

FINEST_PITCH = 6.5  # pixels from one element to the next: closer ones merge at this size
FINEST_WIDTH = 2.0  # pixels of the thinnest stroke
_FRACTION_BITS = 4


@dataclass(frozen=True)
class Part:
    """One stroke (`width` > 0, object units) or one filled outline (`width` 0); ink 0 cuts a hole."""

    points: Points
    width: float
    ink: int
    closed: bool


class Sketch:
    """The parts of one object, back to front, in object units: x right, y down, about within [-1, 1].

    Args:
        rng: source of the tones and of the spread of counts.
        level: 1 to 4, the DIS-TE subset whose complexity is aimed at.
        pixel: length of one pixel in object units; nothing finer than a few of them is worth drawing.
    """

    def __init__(self, rng: np.random.Generator, level: int, pixel: float) -> None:
        self.rng = rng
        self.level = level
        self.pixel = pixel
        self.parts: list[Part] = []

    def count(self, by_level: tuple[int, int, int, int], span: float) -> int:
        """How many elements to set along `span`: the level's number, give or take, as far as pixels tell them apart."""
        wanted = by_level[self.level - 1] * self.rng.uniform(0.8, 1.25)
        return max(2, min(round(wanted), int(span / (FINEST_PITCH * self.pixel))))

    def stroke(self, points: Points, width: float, colour: int = 0, closed: bool = False) -> None:
        """Draw a line of round ends along the points (N, 2)."""
        self.parts.append(Part(points, width, self._ink(colour), closed))

    def strokes(self, lines: Iterable[Points], width: float, colour: int = 0, closed: bool = False) -> None:
        """Draw several lines of one width."""
        for points in lines:
            self.stroke(points, width, colour, closed)

    def fill(self, points: Points, colour: int = 0) -> None:
        """Fill an outline (N, 2)."""
        self.parts.append(Part(points, 0.0, self._ink(colour), True))

    def cut(self, points: Points) -> None:
        """Cut an outline (N, 2) out of all that was drawn before."""
        self.parts.append(Part(points, 0.0, 0, True))

    def _ink(self, colour: int) -> int:
        # Parts of one colour differ slightly in tone, so that crossings can be seen.
        return 1 + TONES * colour + int(self.rng.integers(TONES * 2 // 3, TONES))


def draw_pose(rng: np.random.Generator, parts: list[Part], height: int, width: int, upright: bool) -> Points:
    """Draw a homography (3, 3) from object units to pixels: turn, mirror, stretch, slant, perspective, place.

    Args:
        rng: source of the pose.
        parts: the object; its bounding box is fitted to the picture.
        height: picture height in pixels.
        width: picture width in pixels.
        upright: turn by a few degrees only, as things that stand on the ground do.
    """
    angle = rng.normal(0.0, 0.1) if upright else rng.uniform(0.0, 2.0 * math.pi)
    stretch = rng.uniform(0.8, 1.0)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    cosine, sine = math.cos(angle), math.sin(angle)
    view = np.array([[mirror * cosine, -sine * stretch, 0.0], [mirror * sine, cosine * stretch, 0.0], [0.0, 0.0, 1.0]])
    view[0, 1] += rng.normal(0.0, 0.08)
    view[2, :2] = rng.uniform(-0.16, 0.16, 2)

    points = _project(np.concatenate([part.points for part in parts]), view)
    low, high = points.min(axis=0), points.max(axis=0)
    frame = np.array([width, height], dtype=np.float64)
    # One in six reaches over the picture's edge, as many objects of DIS5K do.
    fill = rng.uniform(1.0, 1.25) if rng.random() < 1 / 6 else rng.uniform(0.72, 0.96)
    scale = fill * float((frame / np.maximum(high - low, 1e-3)).min())
    slack = (frame - scale * (high - low)) / 2.0
    shift = frame / 2.0 - scale * (low + high) / 2.0 + slack * rng.uniform(-0.8, 0.8, 2)
    place = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]], [0.0, 0.0, 1.0]])
    return np.asarray((place[:, :, None] * view[None]).sum(axis=1))


def rasterise(parts: list[Part], pose: Points, height: int, width: int, supersampling: int) -> npt.NDArray[np.uint8]:
    """Draw the parts under a homography as inks, uint8 (supersampling * height, supersampling * width)."""
    canvas = np.zeros((height * supersampling, width * supersampling), np.uint8)
    fixed = np.rint(_project(np.concatenate([p.points for p in parts]), pose) * supersampling * 2**_FRACTION_BITS)
    corners = np.split(fixed.astype(np.int32), np.cumsum([len(p.points) for p in parts])[:-1])
    scales = _local_scales(np.array([p.points.mean(axis=0) for p in parts]), pose) * supersampling
    for part, points, scale in zip(parts, corners, scales, strict=True):
        if part.width > 0:
            thickness = max(round(part.width * float(scale)), round(FINEST_WIDTH * supersampling))
            cv2.polylines(canvas, [points], part.closed, part.ink, thickness, cv2.LINE_8, _FRACTION_BITS)
        else:
            cv2.fillPoly(canvas, [points], part.ink, cv2.LINE_8, _FRACTION_BITS)
    return canvas


def _project(points: Points, pose: Points) -> Points:
    # Written out: a BLAS product may round differently with the number of threads.
    x, y = points[:, 0], points[:, 1]
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in pose)
    return np.stack([u / w, v / w], axis=1)


def _local_scales(points: Points, pose: Points) -> npt.NDArray[np.float64]:
    """sqrt |det J| of the homography at the points: its Jacobian determinant is det H / w^3."""
    w = pose[2, 0] * points[:, 0] + pose[2, 1] * points[:, 1] + pose[2, 2]
    return np.asarray(np.sqrt(abs(float(np.linalg.det(pose))) / np.abs(w) ** 3))
