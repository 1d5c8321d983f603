"""Images and masks from and to files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from dismetrics.files import open_image, written_whole

Pixels = npt.NDArray[np.uint8]

_LISTED_VALUES = 8


def read_image(path: Path) -> Pixels:
    """Read the colours of an image file, turned upright as its EXIF orientation says.

    Grey becomes three equal channels, 16 bits a channel become the upper 8, palettes and CMYK become RGB, and alpha is
    dropped, which leaves the colours as they are stored. Of an animation the first frame is read.

    Args:
        path: any format that Pillow decodes, of any number of pixels.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        ImageFileError: the file is missing, truncated or nothing that Pillow can decode; the message names it.
    """
    with _upright(path) as image:
        if _is_16_bit(image):
            return np.repeat(_upper_8_bits(_values(image))[..., np.newaxis], 3, axis=2)
        return np.array(_as_rgb(image))


def read_mask(path: Path, threshold: int | None = None) -> Pixels:
    """Read a binary mask from the first channel of an image file, turned upright as its EXIF orientation says.

    Args:
        path: a file with the values {0, 255}, {0, 1} or, of 16 bits, {0, 65535}.
        threshold: makes every value above it foreground, on the scale [0, 255], in a file that is not binary; None
            refuses such a file.

    Returns:
        (H, W) uint8 of 0 and 255.

    Raises:
        ImageFileError: the file is missing, truncated or nothing that Pillow can decode; the message names it.
        ValueError: the mask is not binary and there is no threshold; the message names it and the values found.
    """
    with _upright(path) as image:
        first: npt.NDArray[np.unsignedinteger]
        first = _values(image) if _is_16_bit(image) else np.array(_first_channel(image))
    values = np.flatnonzero(np.bincount(first.ravel()))
    if set(values.tolist()) <= {0, values[-1]} and values[-1] in (0, 1, 255, 65535):
        foreground = first > 0
    elif threshold is not None:
        foreground = _upper_8_bits(first) > threshold
    else:
        raise ValueError(f"{path}: not a binary mask, expected the values 0 and 255, found {_listed(values)}")
    return np.where(foreground, np.uint8(255), np.uint8(0))


def write_mask(path: Path, mask: Pixels) -> None:
    """Write mask, (H, W) uint8, to a PNG file, whole or not at all; raises OSError if that fails."""
    _write_png(path, Image.fromarray(mask))


def write_rgba(path: Path, image: Pixels) -> None:
    """Write image, (H, W, 4) uint8 with straight alpha, to a PNG file as :func:`write_mask` does."""
    _write_png(path, Image.fromarray(image))


@contextmanager
def _upright(path: Path) -> Iterator[Image.Image]:
    with open_image(path) as image:
        ImageOps.exif_transpose(image, in_place=True)
        yield image


def _is_16_bit(image: Image.Image) -> bool:
    # Older Pillow opens grey PNGs of 16 bits as "I".
    return image.mode.startswith("I")


def _values(image: Image.Image) -> npt.NDArray[np.uint16]:
    values = np.array(image)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"expected values of 16 bits, found {values.min()} to {values.max()}")
    return values.astype(np.uint16)


def _upper_8_bits(values: npt.NDArray[np.unsignedinteger]) -> Pixels:
    return (values >> (8 * (values.itemsize - 1))).astype(np.uint8)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("expected whole numbers of 8 or 16 bits, found floating point")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image if image.mode == "RGB" else image.convert("RGB")


def _first_channel(image: Image.Image) -> Image.Image:
    return (_as_rgb(image) if image.mode not in ("L", "LA") else image).getchannel(0)


def _listed(values: npt.NDArray[np.int64]) -> str:
    more = f", ... ({len(values)} values)" if len(values) > _LISTED_VALUES else ""
    return ", ".join(map(str, values[:_LISTED_VALUES])) + more


def _write_png(path: Path, image: Image.Image) -> None:
    with written_whole(path) as beside:
        # A third of the default's time, and a tenth more bytes, on a photograph cut out.
        image.save(beside, format="PNG", compress_level=3)
