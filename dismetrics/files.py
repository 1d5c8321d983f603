"""Files: which masks belong together, their grey values, and reports written whole."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm"})
_pixel_limit = threading.Lock()


class ImageFileError(OSError):
    """An image file cannot be read; the message names the file and the reason."""


class Match(NamedTuple):
    """Two files of one stem: an image or prediction, and its ground truth."""

    name: str
    first: Path
    second: Path


def list_images(folder: Path) -> dict[str, Path]:
    """List the image files of a folder, without its subfolders, by stem.

    Args:
        folder: the folder; hidden files and files without a known image suffix (any case) are passed over.

    Returns:
        stem -> file, sorted by stem.

    Raises:
        FileNotFoundError: there is no such folder.
        NotADirectoryError: it is a file.
        ValueError: two images share a stem, or there is no image.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: expected a folder of images, got a file")
    images: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: (path.stem, path.name)):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in images:
            raise ValueError(f"{folder}: {images[path.stem].name} and {path.name} have the same stem")
        images[path.stem] = path
    if not images:
        raise ValueError(f"{folder}: no images (expected files ending in {', '.join(sorted(SUFFIXES))})")
    return images


def match_by_stem(first: Path, second: Path) -> list[Match]:
    """Pair the images of two folders by stem; the second folder, the ground truth, says what there is.

    A ground truth without a partner is an error: a score or an epoch over a part of a set looks like one over the
    whole. Files of the first folder without a ground truth are ignored: they are images that nobody has
    labelled, or predictions of a larger set.

    Args:
        first: folder of images or predictions.
        second: folder of ground truths.

    Returns:
        One match a ground truth, sorted by name.

    Raises:
        FileNotFoundError, NotADirectoryError, ValueError: as `list_images`, for either folder.
        ValueError: ground truths have no partner; the message lists them.
    """
    partners, truths = list_images(first), list_images(second)
    unmatched = [path.name for name, path in truths.items() if name not in partners]
    if unmatched:
        raise ValueError(
            f"{first}: no file with the stem of {len(unmatched)} of the {len(truths)} ground truths in {second}: "
            + shortened(unmatched)
        )
    return [Match(name, partners[name], path) for name, path in truths.items()]


def shortened(names: list[str], separator: str = ", ", at_most: int = 10) -> str:
    """Join the first names of a list, and say how many were left out."""
    more = len(names) - at_most
    return separator.join([*names[:at_most], f"and {more} more"] if more > 0 else names)


def read_size(path: Path) -> tuple[int, int]:
    """Read (height, width) from an image file's header, without decoding it.

    Raises:
        ImageFileError: missing, or not an image.
    """
    with open_image(path) as image:
        return image.height, image.width


def read_gray(path: Path) -> NDArray[np.uint8]:
    """Read a mask or a prediction as grey values.

    Of a colour image the first channel counts, as in the official code; a palette is expanded and alpha dropped. One
    bit becomes 0 and 255; 16 and 32 bits are scaled to 8 and rounded. Values are not stretched: a mask stored
    as 0 and 1 comes back as 0 and 1, which the metrics take as a truth (`dismetrics.pairs`).

    Args:
        path: file in any format that Pillow reads, of any size.

    Returns:
        uint8 (H, W).

    Raises:
        ImageFileError: missing, not an image, truncated, or of floating-point values.
    """
    with open_image(path) as image:
        return _gray(image)


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file of any size; whatever goes wrong inside is the file's fault.

    Raises:
        ImageFileError: missing, not an image, truncated, or what the block raised of it.
    """
    try:
        with _open_of_any_size(path) as image:
            yield image
    # Broken files make Pillow's decoders raise SyntaxError, struct.error, KeyError and more.
    except Exception as error:
        raise _unreadable(path, error) from error


def _gray(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "F":
        raise ValueError("floating-point values, expected 8-, 16- or 32-bit integers")
    if image.mode.startswith("I"):
        return _to_eight_bits(np.asarray(image))
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode in {"P", "PA"}:
        image = image.convert("RGBA")
    elif image.mode not in {"L", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX"}:
        image = image.convert("RGB")
    return np.array(image if image.mode == "L" else image.getchannel(0))


def _to_eight_bits(values: NDArray[np.integer]) -> NDArray[np.uint8]:
    unsigned = values.astype(np.int64) & 0xFFFFFFFF
    largest = int(unsigned.max(initial=0))
    # Pillow opens some 16-bit files with 32-bit integers, so the values tell the depth, not the mode.
    white = next(white for white in (2**16 - 1, 2**31 - 1, 2**32 - 1) if largest <= white)
    return np.asarray(np.rint(unsigned * (255 / white)), np.uint8)


def _open_of_any_size(path: Path) -> Image.Image:
    # Pillow takes images beyond 89 megapixels for attacks; its limit is global and checked when a file is opened.
    with _pixel_limit:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _unreadable(path: Path, error: BaseException) -> ImageFileError:
    if isinstance(error, FileNotFoundError):
        return ImageFileError(f"{path}: no such file")
    if isinstance(error, UnidentifiedImageError):
        return ImageFileError(f"{path}: not an image that Pillow knows")
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ImageFileError(f"{path}: cannot be read: {reason}")


def check_writable(path: Path) -> None:
    """Raise before the work what `write_whole` would raise after it, where that can be seen from the folders.

    Raises:
        FileNotFoundError: the folder to write into is missing.
        IsADirectoryError: the path is a folder.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path}: expected a file to write, got a folder")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent} to write it into")


def make_folder(path: Path) -> Path:
    """Make a folder with all above it, unless it is there; returns it.

    Raises:
        NotADirectoryError: something else is there.
        OSError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"{path}: expected a folder, got a file") from error
    return path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a place beside path to write to; it becomes path in one step at the end, or is removed after an error.

    Raises:
        OSError: it cannot be written; the message names path, as that of a full disk does not by itself.
    """
    beside = path.with_name(f".{uuid4().hex}.partial")
    try:
        yield beside
        beside.replace(path)
    except OSError as error:
        raise OSError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file (UTF-8) in one step: a reader, or an interruption, never meets a half of it.

    Raises:
        OSError: as `written_whole`.
    """
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="")
