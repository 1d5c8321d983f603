"""Backgrounds: photographs and patterns, what stands about in them, and how far out of focus they lie."""

import colorsys
import math

import cv2
import numpy as np
import numpy.typing as npt

from dismodels.data.synthetic import patterns
from dismodels.data.synthetic.photographs import NAMES, photograph

Picture = npt.NDArray[np.float32]


def draw_background(rng: np.random.Generator, height: int, width: int, contrast: float) -> Picture:
    """Draw a background, RGB float32 (H, W, 3) in [0, 1].

    Args:
        rng: source of the draw.
        height: rows.
        width: columns.
        contrast: in [0, 1]: the greater, the more the background is blurred, flattened and drained of colour.
    """
    picture = _surface(rng, height, width)
    if rng.random() < 0.35:  # a wall and a floor, or land and sky
        horizon = round(height * rng.uniform(0.45, 0.8))
        picture[horizon:] = _surface(rng, height, width)[: height - horizon]
    for _ in range(rng.integers(0, 6)):
        _DISTRACTORS[rng.integers(len(_DISTRACTORS))](rng, picture)
    sigma = min(height, width) * (0.002 + 0.018 * contrast * rng.uniform(0.3, 1.0))
    blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.float32)
    return _muted(blurred, contrast * rng.uniform(0.5, 1.0))


def _surface(rng: np.random.Generator, height: int, width: int) -> Picture:
    """One sharp surface: a photograph's crop half of the time, else a pattern between two colours."""
    name = NAMES[rng.integers(len(NAMES))]
    photo = photograph(name) if rng.random() < 0.55 else None
    # The crop is drawn from a generator of its own: a missing photograph must not shift any later draw.
    own = np.random.default_rng(rng.integers(2**63))
    return _pattern(own, height, width) if photo is None else _crop(own, photo, height, width)


def _crop(rng: np.random.Generator, photo: npt.NDArray[np.uint8], height: int, width: int) -> Picture:
    """A random crop with the picture's aspect, mirrored, tinted and exposed anew."""
    rows, columns = photo.shape[:2]
    scale = rng.uniform(0.45, 1.0) * min(rows / height, columns / width)
    h, w = max(1, int(height * scale)), max(1, int(width * scale))
    top, left = int(rng.integers(rows - h + 1)), int(rng.integers(columns - w + 1))
    crop = photo[top : top + h, left : left + w][:, :: 1 if rng.random() < 0.5 else -1]
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    picture = cv2.resize(np.ascontiguousarray(crop), (width, height), interpolation=method).astype(np.float32) / 255
    tint = 1.0 + rng.normal(0.0, 0.1, 3)
    return np.clip(picture ** np.float32(rng.uniform(0.7, 1.4)) * tint.astype(np.float32), 0.0, 1.0)


def _pattern(rng: np.random.Generator, height: int, width: int) -> Picture:
    kind = rng.integers(5)
    if kind == 0:
        grey = patterns.clouds(rng, height, width, rng.uniform(2.0, 8.0), 5)
    elif kind == 1:
        grey = patterns.stripes(rng, height, width, rng.uniform(4.0, 24.0))
    elif kind == 2:
        grey = patterns.tiles(rng, height, width)
    elif kind == 3:
        grey = patterns.streaks(rng, height, width)
    else:
        grey = patterns.ramp(rng, height, width)
    grain = patterns.clouds(rng, height, width, 10.0, 3)
    mix = np.clip(0.75 * grey + 0.25 * grain, 0.0, 1.0)[:, :, None]
    first, second = _colour(rng), _colour(rng)
    return np.asarray(first * (1 - mix) + second * mix, dtype=np.float32)


def _muted(picture: Picture, strength: float) -> Picture:
    """The picture drawn towards its grey, its mean, and a middling brightness: extremes are left to the object."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[:, :, None]
    picture = grey + (picture - grey) * np.float32(1.0 - 0.85 * strength)
    mean = np.array(cv2.mean(picture)[:3], np.float32)
    level = mean + np.float32(0.5 * strength) * (np.float32(0.45) - mean)
    return np.asarray(level + (picture - mean) * np.float32(1.0 - 0.5 * strength), dtype=np.float32)


def _colour(rng: np.random.Generator) -> Picture:
    return np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.0, 0.6), rng.uniform(0.15, 0.95)), np.float32)


def _paint(picture: Picture, stencil: npt.NDArray[np.uint8], colour: Picture, opacity: float) -> None:
    inside = stencil > 0
    picture[inside] += np.float32(opacity) * (colour - picture[inside])


def _stencil(picture: Picture) -> npt.NDArray[np.uint8]:
    return np.zeros(picture.shape[:2], np.uint8)


def _blob(rng: np.random.Generator, picture: Picture) -> None:
    """A disc: a ball, a lamp out of focus."""
    height, width = picture.shape[:2]
    stencil = _stencil(picture)
    centre = int(rng.integers(width)), int(rng.integers(height))
    axes = tuple(int(v) + 1 for v in rng.uniform(0.03, 0.2, 2) * min(height, width))
    cv2.ellipse(stencil, centre, axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    _paint(picture, stencil, _colour(rng), rng.uniform(0.4, 1.0))


def _block(rng: np.random.Generator, picture: Picture) -> None:
    """A turned box: furniture, houses, picture frames."""
    height, width = picture.shape[:2]
    stencil = _stencil(picture)
    sides = rng.uniform(0.08, 0.4, 2) * min(height, width)
    box = ((rng.uniform(0, width), rng.uniform(0, height)), tuple(sides), rng.normal(0.0, 8.0))
    cv2.fillConvexPoly(stencil, np.rint(cv2.boxPoints(box)).astype(np.int32), 255)
    _paint(picture, stencil, _colour(rng), rng.uniform(0.4, 1.0))


def _bars(rng: np.random.Generator, picture: Picture) -> None:
    """A few parallel bars: posts, shelves, trunks."""
    height, width = picture.shape[:2]
    stencil = _stencil(picture)
    angle = rng.choice([0.0, math.pi / 2]) + rng.normal(0.0, 0.1)
    along = np.array([math.cos(angle), math.sin(angle)]) * max(height, width)
    across = np.array([-along[1], along[0]]) * rng.uniform(0.05, 0.15)
    start = rng.uniform(0.0, 1.0, 2) * (width, height)
    for i in range(int(rng.integers(1, 5))):
        ends = np.rint([start + i * across - along, start + i * across + along]).astype(np.int32)
        cv2.polylines(stencil, [ends], False, 255, max(1, round(min(height, width) * rng.uniform(0.01, 0.04))))
    _paint(picture, stencil, _colour(rng), rng.uniform(0.4, 1.0))


def _marks(rng: np.random.Generator, picture: Picture) -> None:
    """A line of marks that look like letters: every glyph joins four nodes of a 3 x 3 grid."""
    height, width = picture.shape[:2]
    stencil = _stencil(picture)
    size = min(height, width) * rng.uniform(0.03, 0.09)
    corner = rng.uniform(0.0, 0.8, 2) * (width, height)
    for i in range(int(rng.integers(3, 10))):
        glyph = rng.integers(0, 3, (4, 2)) * (0.35 * size, 0.5 * size) + corner + (i * size, 0.0)
        cv2.polylines(stencil, [np.rint(glyph).astype(np.int32)], False, 255, max(1, round(size * 0.15)))
    _paint(picture, stencil, _colour(rng), rng.uniform(0.6, 1.0))


_DISTRACTORS = (_blob, _block, _bars, _marks)
