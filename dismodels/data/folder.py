"""Images and the masks that belong to them, found in folders and checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dismetrics.files import ImageFileError, list_images, shortened
from dismodels.data.images import Pixels, read_image, read_mask

Progress = Callable[[int, int], None]

_IMAGE_FOLDERS = ("im", "image", "images", "img", "imgs")
_MASK_FOLDERS = ("gt", "mask", "masks", "label", "labels")
_LISTED_PROBLEMS = 50


class Pair(NamedTuple):
    """An image and its mask; name is the stem that both files share."""

    name: str
    image: Path
    mask: Path


class DataError(ValueError):
    """Files or folders that cannot be trained on; the message lists each with its reason.

    Attributes:
        problems: one line a problem, all of them, though the message stops after fifty.
    """

    def __init__(self, summary: str, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__(f"{summary}:\n  " + shortened(self.problems, "\n  ", _LISTED_PROBLEMS))


def find_pairs(root: Path, subset: str | None = None) -> list[Pair]:
    """Find the pairs of a data set on disk.

    Args:
        root: a folder that holds a folder of images (im, image, images, img or imgs, in any case) and one of masks
            (gt, mask, masks, label or labels); or a folder of such folders, as DIS5K is.
        subset: which of them: "DIS-TR", "DIS-VD", "DIS-TE1" ...; None takes root itself.

    Returns:
        The pairs, sorted by name.

    Raises:
        DataError: there are no such folders, or as :func:`pairs_from`; the message lists what is there.
    """
    root = Path(root)
    folder = root / subset if subset else root
    images, masks = _children(folder, _IMAGE_FOLDERS), _children(folder, _MASK_FOLDERS)
    if len(images) == len(masks) == 1:
        return pairs_from(images[0], masks[0])
    found = ", ".join(path.name for path in images + masks) or "neither"
    problems = [f"{folder}: expected a folder of images (such as im) and one of masks (such as gt), found {found}"]
    subsets = [
        child.name for child in _children(root) if _children(child, _IMAGE_FOLDERS) and _children(child, _MASK_FOLDERS)
    ]
    if subsets:
        problems.append(f"{root} has the subsets {', '.join(subsets)}")
    raise DataError("no data", problems)


def pairs_from(images: Path, masks: Path) -> list[Pair]:
    """Pair the files of two folders by their stems.

    Both must hold the same stems: an image without a mask cannot be trained on, and a mask without an image tells of
    images that went missing.

    Args:
        images: folder of images.
        masks: folder of masks.

    Returns:
        The pairs, sorted by name.

    Raises:
        DataError: a folder is missing, is empty or has a stem twice, or files have no partner; the message lists them.
    """
    try:
        image_files, mask_files = list_images(Path(images)), list_images(Path(masks))
    except (OSError, ValueError) as error:
        raise DataError("no pairs", [str(error)]) from error
    problems = [
        f"{image_files[name]}: no mask of this stem in {masks}" for name in image_files.keys() - mask_files.keys()
    ]
    problems += [
        f"{mask_files[name]}: no image of this stem in {images}" for name in mask_files.keys() - image_files.keys()
    ]
    if problems:
        raise DataError(f"{len(problems)} files without a partner", sorted(problems))
    return [Pair(name, path, mask_files[name]) for name, path in image_files.items()]


def check_pairs(
    pairs: Sequence[Pair],
    threshold: int | None = None,
    use: Callable[[int, Pixels, Pixels], None] | None = None,
    workers: int = 4,
    progress: Progress | None = None,
) -> None:
    """Decode every pair once, and report everything that is wrong with any of them at once.

    Args:
        pairs: what to read.
        threshold: as :func:`dismodels.data.images.read_mask`.
        use: called in a worker thread with index, image (H, W, 3) and mask (H, W) of every good pair.
        workers: threads that decode; each holds one decoded pair.
        progress: called with the number of pairs read and of all.

    Raises:
        DataError: a file cannot be read, a mask is not binary or not of its image's size, or the two look swapped.
    """
    bad: dict[int, list[str]] = {}

    def check(index: int) -> None:
        try:
            image, mask = _read(pairs[index], threshold)
        except DataError as error:
            bad[index] = error.problems
        else:
            if use and not bad:
                use(index, image, mask)

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(check, index) for index in range(len(pairs))]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                if progress:
                    progress(done, len(pairs))
        finally:
            pool.shutdown(cancel_futures=True)
    if bad:
        problems = [problem for index in sorted(bad) for problem in bad[index]]
        raise DataError(f"{len(bad)} of {len(pairs)} pairs cannot be used", problems)


def _children(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """The folders in folder, sorted; of names, in any case, if there are any."""
    if not folder.is_dir():
        return []
    return sorted(child for child in folder.iterdir() if child.is_dir() and (not names or child.name.lower() in names))


def _read(pair: Pair, threshold: int | None) -> tuple[Pixels, Pixels]:
    """Image and mask of pair; a DataError has the problems of both files."""
    problems: list[str] = []
    image = _attempt(problems, read_image, pair.image)
    mask = _attempt(problems, read_mask, pair.mask, threshold)
    if image is not None and _is_two_toned(image) and _has_tones(pair.mask):
        problems = [f"{pair.mask}: looks swapped with its image {pair.image}, which is black and white"]
    elif image is not None and mask is not None and image.shape[:2] != mask.shape:
        turned = "; is one of them turned by its EXIF orientation?" if image.shape[1::-1] == mask.shape else ""
        problems = [f"{pair.mask}: is {_size(mask)} (width x height), its image {pair.image} is {_size(image)}{turned}"]
    if image is None or mask is None or problems:
        raise DataError(pair.name, problems)
    return image, mask


def _attempt(problems: list[str], read: Callable[..., Pixels], *arguments: object) -> Pixels | None:
    try:
        return read(*arguments)
    except (ImageFileError, ValueError) as error:
        problems.append(str(error))
        return None


def _has_tones(path: Path) -> bool:
    colours = _attempt([], read_image, path)
    return colours is not None and not _is_two_toned(colours)


def _is_two_toned(image: Pixels) -> bool:
    """Whether image looks like a mask: hardly a value, on a coarse grid, is neither dark nor bright."""
    grid = image[::8, ::8]
    return float(np.mean((grid > 16) & (grid < 239))) < 0.05


def _size(image: Pixels) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
