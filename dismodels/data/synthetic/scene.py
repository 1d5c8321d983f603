"""One synthetic picture of dichotomous image segmentation with its exact mask."""

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from dismodels.data.synthetic.backgrounds import Picture, draw_background
from dismodels.data.synthetic.kinds import KINDS, Kind
from dismodels.data.synthetic.materials import draw_material, ink_table, shading
from dismodels.data.synthetic.patterns import Grey
from dismodels.data.synthetic.sketch import Sketch, draw_pose, rasterise

LEVELS = (1, 2, 3, 4)
SMALLEST = 32
SHARE = 0.02, 0.70  # the least and the largest part of the picture that an object covers

_FULL = 240  # coverage of a pixel inside the object: a multiple of 4 x 4 and 2 x 2, so that area means are exact

Bytes = npt.NDArray[np.uint8]


class Scene(NamedTuple):
    """A rendered picture.

    Attributes:
        image: RGB uint8 (H, W, 3).
        mask: uint8 (H, W), 255 where the object covers at least half of the pixel, else 0.
        name: "group number # group # category number # category # seed_index", in the manner of DIS5K's files.
    """

    image: Bytes
    mask: Bytes
    name: str


def render(
    size: int | tuple[int, int], seed: int, level: int | None = None, *, index: int = 0, contrast: float = 0.8
) -> Scene:
    """Render one object of thin structure on a textured background.

    The mask is the drawn geometry itself: one supersampled raster gives both the opacity of the composite and,
    cut at one half, the mask. The object covers 2 to 70 % of the picture.

    Args:
        size: side in pixels, or (height, width); at least 32.
        seed: non-negative; names a family of scenes.
        level: 1 to 4: complexity rising as from DIS-TE1 to DIS-TE4; None draws one.
        index: non-negative; number of the scene in its family.
        contrast: in [0, 1]: how plainly the object stands out, by its colour and by the background's blur and
            paleness. 0 leaves both to chance.

    Returns:
        The scene: image, mask and name.

    Raises:
        ValueError: if an argument is out of its range.

    Numerics: depends on the arguments only, not on process, order or threads. The bytes may differ between versions
        of NumPy or OpenCV; a scene that would show a photograph which the installed scikit-image does not ship shows
        a pattern there.
    """
    check_arguments(size, seed, level, contrast)
    if index < 0:
        raise ValueError(f"index must be at least 0, got {index}")
    height, width = (size, size) if isinstance(size, int) else size
    rng, kind, level = _begin(seed, index, level)

    canvas, supersampling = _draw_object(rng, kind, level, height, width)
    coverage = _averaged(cv2.threshold(canvas, 0, _FULL, cv2.THRESH_BINARY)[1], supersampling)
    alpha = coverage[:, :, None].astype(np.float32) / np.float32(_FULL)
    mask = np.where(coverage >= _FULL // 2, np.uint8(255), np.uint8(0))

    background = draw_background(rng, height, width, contrast)
    behind = (background * alpha).sum(axis=(0, 1)) / alpha.sum()
    material, colours = draw_material(rng, behind, contrast, organic=kind.group == "Branch")
    surface = _averaged(cv2.LUT(cv2.merge([canvas] * 3), ink_table(colours)), supersampling).astype(np.float32) / 255.0
    surface *= shading(rng, material, height, width)[:, :, None]
    surface *= _relief(rng, surface, alpha)[:, :, None]
    background *= _shadow(rng, alpha)[:, :, None]
    picture = _exposed(rng, np.clip(surface, 0.0, alpha) + background * (1.0 - alpha))
    return Scene(picture, mask, _name(kind, seed, index))


def scene_name(seed: int, level: int | None, index: int) -> str:
    """The name that `render` gives to a scene, without rendering it."""
    _, kind, _ = _begin(seed, index, level)
    return _name(kind, seed, index)


def _begin(seed: int, index: int, level: int | None) -> tuple[np.random.Generator, Kind, int]:
    if level is None:
        level = int(np.random.default_rng(np.random.SeedSequence((seed, index))).choice(LEVELS))
    rng = np.random.default_rng(np.random.SeedSequence((seed, index, level)))
    kinds = [kind for kind in KINDS if level in kind.levels]
    return rng, kinds[rng.integers(len(kinds))], level


def _name(kind: Kind, seed: int, index: int) -> str:
    groups = list(dict.fromkeys(k.group for k in KINDS))
    return f"{groups.index(kind.group) + 1}#{kind.group}#{KINDS.index(kind) + 1}#{kind.category}#{seed:04d}_{index:06d}"


def check_arguments(size: int | tuple[int, int], seed: int, level: int | None, contrast: float) -> None:
    """Raise ValueError unless `render` can work with these arguments of it."""
    if (size if isinstance(size, int) else min(size)) < SMALLEST:
        raise ValueError(f"size must be at least {SMALLEST} pixels, got {size}")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    if level is not None and level not in LEVELS:
        raise ValueError(f"level must be 1, 2, 3, 4 or None, got {level}")
    if not 0.0 <= contrast <= 1.0:
        raise ValueError(f"contrast must lie in [0, 1], got {contrast}")


def _draw_object(rng: np.random.Generator, kind: Kind, level: int, height: int, width: int) -> tuple[Bytes, int]:
    """Draw objects of the kind until one covers a fair share; returns its inks and their supersampling."""
    supersampling = 4 if max(height, width) <= 384 else 2
    while True:
        sketch = Sketch(rng, level, pixel=2.2 / min(height, width))
        kind.draw(sketch)
        pose = draw_pose(rng, sketch.parts, height, width, kind.upright)
        canvas = rasterise(sketch.parts, pose, height, width, supersampling)
        if SHARE[0] + 0.01 < cv2.countNonZero(canvas) / canvas.size < SHARE[1] - 0.01:
            return canvas, supersampling


def _averaged(picture: npt.NDArray[Any], supersampling: int) -> Bytes:
    """The mean of every cell of supersampling x supersampling pixels."""
    height, width = picture.shape[:2]
    size = width // supersampling, height // supersampling
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _relief(rng: np.random.Generator, surface: Picture, alpha: Picture) -> Grey:
    """Light from one side on the object's edges and on the steps between its parts, about 1."""
    height, width = alpha.shape[:2]
    sigma = max(0.6, 0.005 * min(height, width))
    form = cv2.GaussianBlur(0.5 * alpha[:, :, 0] + cv2.cvtColor(surface, cv2.COLOR_RGB2GRAY), (0, 0), sigma)
    step = max(1, round(sigma))
    dx, dy = int(rng.choice([-step, step])), int(rng.choice([-step, step]))
    return np.asarray(1.0 + 1.2 * np.clip(form - np.roll(form, (dy, dx), axis=(0, 1)), -0.4, 0.5), dtype=np.float32)


def _shadow(rng: np.random.Generator, alpha: Picture) -> Grey:
    """The soft shadow that the object casts, a factor in [0.5, 1]."""
    height, width = alpha.shape[:2]
    reach = min(height, width) * rng.uniform(0.01, 0.06)
    shift = int(rng.choice([-1, 1]) * reach), int(reach)
    blurred = cv2.GaussianBlur(alpha[:, :, 0], (0, 0), max(0.8, 0.5 * reach))
    return np.asarray(1.0 - rng.uniform(0.0, 0.5) * np.roll(blurred, shift[::-1], axis=(0, 1)), dtype=np.float32)


def _exposed(rng: np.random.Generator, picture: Picture) -> Bytes:
    """Exposure, white balance and the sensor's grain."""
    gain = rng.uniform(0.8, 1.15) * (1.0 + rng.normal(0.0, 0.03, 3))
    grain = rng.standard_normal(picture.shape[:2], dtype=np.float32) * np.float32(rng.uniform(0.0, 0.02))
    return np.rint(np.clip(picture * gain.astype(np.float32) + grain[:, :, None], 0.0, 1.0) * 255.0).astype(np.uint8)
