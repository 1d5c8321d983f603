"""Masks of photographs: ``python -m dismodels.predict isnet --weights FILE IMAGES... --output DIR``."""

from __future__ import annotations

import glob
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import groupby, islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dismetrics.files import SUFFIXES, ImageFileError, list_images
from dismodels.checkpoints import load_model
from dismodels.data.images import Pixels, read_image, write_mask, write_rgba
from dismodels.predictor import Predictor
from dismodels.registry import list_models

# They decode images and write masks while the model runs.
_THREADS = 4


class _Photograph(NamedTuple):
    path: Path
    image: Pixels
    prepared: Tensor


def find_images(given: Sequence[str], output: Path) -> tuple[list[Path], list[str]]:
    """The image files that are meant, and what is wrong with the list.

    Args:
        given: files, folders and patterns ("photos/**/*.jpg"); a file that is meant twice counts once.
        output: the folder of the masks, which are called as the images and end in ".png".

    Returns:
        The files in the order given, and one line a problem: nothing there, two images with one mask's name, or a mask
        that would replace its image.
    """
    files: dict[Path, Path] = {}
    problems = [] if given else ["no images were given"]
    for name in given:
        try:
            files.update({path.resolve(): path for path in _expand(name)})
        except (OSError, ValueError) as error:
            problems.append(str(error))
    by_mask: dict[Path, Path] = {}
    for path in files.values():
        mask = _mask_path(path, output)
        if mask in by_mask:
            problems.append(f"{by_mask[mask]} and {path} would both become {mask}")
        if mask.resolve() in files:
            problems.append(f"{path}: {mask} would replace an image that was given")
        by_mask.setdefault(mask, path)
    return list(files.values()), problems


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with status 1 and one line a problem where an image was not segmented."""
    try:
        import rich  # noqa: F401
        import tyro
    except ModuleNotFoundError as missing:  # an optional extra
        sys.exit(f"error: prediction needs {missing.name}; install it with: pip install 'dislayers[cli]'")
    try:
        problems = tyro.cli(_predict, prog="python -m dismodels.predict", args=arguments)
    except KeyboardInterrupt:
        sys.exit("interrupted; the masks written so far are whole")
    if problems:
        sys.exit("\n".join(f"error: {problem}" for problem in problems))


def _predict(
    system: str,
    images: tuple[str, ...],
    /,
    *,
    weights: Path,
    output: Path,
    size: str = "trained",
    batch_size: int = 1,
    rgba: bool = False,
    device: str = "auto",
    stretch: bool = True,
) -> list[str]:
    """Segment photographs with trained weights: one PNG mask an image, called as the image.

    Args:
        system: name of the model, such as isnet
        images: files, folders and quoted patterns such as 'photos/**/*.jpg'
        weights: checkpoint of a training run, or an official .pth file
        output: folder of the masks, made if it is missing
        size: of the square that the model sees, in pixels; trained: as in training, or 1024; native: nothing is resized
        batch_size: images that a GPU sees at once; with native sizes, neighbours of one size
        rgba: write the photographs cut out, with the mask as alpha, instead of the masks
        device: where the model runs: cpu, cuda, cuda:1, mps; auto takes a GPU if there is one
        stretch: stretch every mask to the whole range from 0 to 255
    """
    paths, problems = find_images(images, output)
    if system not in list_models():
        problems.append(f"no system is called {system!r}; there are: {', '.join(list_models())}")
    if batch_size < 1:
        problems.append(f"--batch-size must be at least 1, got {batch_size}")
    try:
        side = _side(size)
    except ValueError as error:
        problems.append(str(error))
    if problems:
        return problems
    try:
        predictor = Predictor(load_model(system, weights).to(_device(device)), side, stretch)
        output.mkdir(parents=True, exist_ok=True)
        return _segment_all(predictor, paths, output, batch_size, rgba)
    except torch.OutOfMemoryError:
        return [f"the GPU has too little memory for {batch_size} images at once; lower --batch-size or --size"]
    except (OSError, ValueError) as error:
        return [str(error)]


def _segment_all(predictor: Predictor, paths: list[Path], output: Path, batch_size: int, rgba: bool) -> list[str]:
    """Write a mask for every image that can be read; returns why the others cannot."""
    from rich.console import Console
    from rich.progress import Progress

    unreadable: list[str] = []
    writing: deque[Future[None]] = deque()
    with ThreadPoolExecutor(_THREADS) as pool, Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("Segmenting", total=len(paths))
        photographs = _decoded(pool, paths, predictor.prepare, batch_size + _THREADS, unreadable)
        while batch := list(islice(photographs, batch_size)):
            for photograph, mask in zip(batch, _masks(predictor, batch), strict=True):
                writing.append(pool.submit(_write, photograph, mask, output, rgba))
            while len(writing) > _THREADS:
                writing.popleft().result()
            progress.advance(task, len(batch))
        for written in writing:
            written.result()
    print(f"{len(paths) - len(unreadable)} of {len(paths)} images segmented, in {output}")
    return unreadable


def _masks(predictor: Predictor, batch: Sequence[_Photograph]) -> Iterator[Pixels]:
    """Masks of the batch; neighbours of one size go through the model together."""
    for _, alike in groupby(batch, key=lambda photograph: photograph.prepared.shape):
        photographs = list(alike)
        prepared = torch.stack([photograph.prepared for photograph in photographs])
        yield from predictor.masks(prepared, [photograph.image.shape[:2] for photograph in photographs])


def _decoded(
    pool: Executor, paths: Sequence[Path], prepare: Callable[[Pixels], Tensor], ahead: int, unreadable: list[str]
) -> Iterator[_Photograph]:
    """The photographs in order, decoded and prepared by pool, which keeps so many ahead of the model."""
    waiting: deque[Future[_Photograph]] = deque()
    remaining = iter(paths)
    while True:
        waiting.extend(pool.submit(_decode, path, prepare) for path in islice(remaining, ahead - len(waiting)))
        if not waiting:
            return
        try:
            yield waiting.popleft().result()
        except ImageFileError as error:
            unreadable.append(str(error))


def _decode(path: Path, prepare: Callable[[Pixels], Tensor]) -> _Photograph:
    image = read_image(path)
    return _Photograph(path, image, prepare(image))


def _write(photograph: _Photograph, mask: Pixels, output: Path, rgba: bool) -> None:
    path = _mask_path(photograph.path, output)
    if rgba:
        write_rgba(path, np.dstack([photograph.image, mask]))
    else:
        write_mask(path, mask)


def _mask_path(path: Path, output: Path) -> Path:
    return output / f"{path.stem}.png"


def _expand(given: str) -> list[Path]:
    path = Path(given)
    if path.is_dir():
        return list(list_images(path).values())
    if path.exists():
        return [path]
    if not any(wildcard in given for wildcard in "*?["):
        raise FileNotFoundError(f"{given}: no such file or folder")
    # Path.glob refuses absolute patterns.
    found = [Path(name) for name in sorted(glob.glob(given, recursive=True))]  # noqa: PTH207
    images = [path for path in found if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not images:
        raise FileNotFoundError(f"{given}: no image has such a name")
    return images


def _side(size: str) -> int | Literal["native"] | None:
    """The size of a Predictor."""
    if size == "trained":
        return None
    if size == "native":
        return "native"
    if size.isdecimal() and int(size) > 0:
        return int(size)
    raise ValueError(f"--size must be at least 1, trained or native, got {size}")


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    # PyTorch was built without it, or there is none.
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {name}: {str(error).splitlines()[0]}") from error


if __name__ == "__main__":
    main()
