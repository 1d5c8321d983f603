"""The photographs that lie inside scikit-image's wheel, read as files: nothing is ever downloaded."""

import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage
from PIL import Image

FOLDER = Path(skimage.__file__).parent / "data"

# A fixed list: a name that this wheel lacks falls back to a pattern and leaves all other scenes as they are.
NAMES = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)


def photograph(name: str) -> npt.NDArray[np.uint8] | None:
    """One photograph as RGB uint8 (H, W, 3), or None where this scikit-image does not ship it."""
    return _read(FOLDER / name)


@functools.cache
def _read(path: Path) -> npt.NDArray[np.uint8] | None:
    if not path.is_file():
        return None
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
