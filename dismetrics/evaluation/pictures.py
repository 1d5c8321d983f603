"""Pictures of one prediction: image, truth, prediction, and its errors with the clicks that would correct them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dismetrics.clicks import correction_clicks
from dismetrics.evaluation.results import Result
from dismetrics.files import SUFFIXES, open_image, read_gray, written_whole
from dismetrics.pairs import pairs

Colour = tuple[int, int, int]

# Colours that people tell apart, however they see colours.
BACKGROUND, FOUND = (24, 24, 24), (225, 225, 225)
FALSE_POSITIVE, FALSE_NEGATIVE = (213, 94, 0), (0, 114, 178)
FALSE_POSITIVE_CLICK, FALSE_NEGATIVE_CLICK = (240, 228, 66), (86, 220, 255)
_LONGEST_SIDE = 960


def write_pictures(result: Result, images: Path | None, folder: Path, stem: str) -> dict[str, str]:
    """Write the pictures of a prediction, at most 960 pixels high and wide.

    Args:
        result: what to show.
        images: folder of photos, see `find_photo`.
        folder: to write into.
        stem: start of the files' names.

    Returns:
        "image" (where it was found), "truth", "prediction" and "errors" -> name of the file.

    Raises:
        OSError: a file cannot be read or written.
    """
    written = {}
    for kind, picture in _pictures(result, images):
        suffix = "jpg" if kind == "image" else "png"
        written[kind] = f"{stem}_{kind}.{suffix}"
        with written_whole(folder / written[kind]) as beside:
            picture.save(beside, "jpeg" if suffix == "jpg" else "png")
    return written


def find_photo(result: Result, images: Path | None) -> Path | None:
    """Find the photo of a ground truth, by its stem.

    Args:
        result: names the truth and its subset.
        images: a folder of photos, or of subsets with photos in them or in their folder `im`; None: where the truth
            lies in a folder `gt`, in the folder `im` beside it, as in DIS5K.
    """
    subset, name, truth, _ = result.task
    if images is not None:
        folders = [images / subset / "im", images / subset, images / "im", images]
    else:
        folders = [truth.parent.with_name("im")] if truth.parent.name == "gt" else []
    files = (file for folder in folders if folder.is_dir() for file in sorted(folder.iterdir()))
    return next((file for file in files if file.stem == name and file.suffix.lower() in SUFFIXES), None)


def error_map(pred: NDArray[Any], gt: NDArray[Any], longest_side: int = _LONGEST_SIDE) -> NDArray[np.uint8]:
    """Draw the errors of a prediction and the clicks of the human correction effort on them.

    False positives are orange, false negatives blue; a dot is a corner of a polygon, a cross a region that is taken
    with one click.

    Args:
        pred: as `dismetrics.pairs`, (H, W).
        gt: bool or uint8, (H, W).
        longest_side: of the picture in pixels, at least 1; smaller images stay as they are.

    Returns:
        RGB, uint8 (h, w, 3).
    """
    (pair,) = pairs(pred, gt)
    colours = np.array([[BACKGROUND, FALSE_POSITIVE], [FALSE_NEGATIVE, FOUND]], np.uint8)
    picture = _shrunk(colours[pair.truth.view(np.uint8), pair.mask.view(np.uint8)], longest_side)
    scale = np.array(picture.shape[:2]) / pair.truth.shape
    clicks = correction_clicks(pred, gt)
    for points, regions, colour in (
        (clicks.fp_points, clicks.fp_regions, FALSE_POSITIVE_CLICK),
        (clicks.fn_points, clicks.fn_regions, FALSE_NEGATIVE_CLICK),
    ):
        for centre in _centres(points, scale):
            cv2.circle(picture, centre, 1, colour, cv2.FILLED)
        for centre in _centres(regions, scale):
            cv2.drawMarker(picture, centre, colour, cv2.MARKER_CROSS, 9)
    return picture


def _pictures(result: Result, images: Path | None) -> Iterator[tuple[str, Image.Image]]:
    if photo := find_photo(result, images):
        with open_image(photo) as image:
            image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
            yield "image", image.convert("RGB")
    truth, prediction = read_gray(result.task.truth), read_gray(result.prediction)
    (pair,) = pairs(prediction, truth)
    yield "truth", Image.fromarray(_shrunk(pair.truth * np.uint8(255)))
    yield "prediction", Image.fromarray(_shrunk(prediction))
    yield "errors", Image.fromarray(error_map(prediction, truth))


def _shrunk(picture: NDArray[np.uint8], longest_side: int = _LONGEST_SIDE) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    scale = min(1.0, longest_side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _centres(clicks: NDArray[np.int64], scale: NDArray[Any]) -> list[tuple[int, int]]:
    """Column and row in the picture, as OpenCV draws."""
    return [(column, row) for row, column in ((clicks + 0.5) * scale).astype(int).tolist()]
