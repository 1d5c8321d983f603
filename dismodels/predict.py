"""Masks of photographs: ``python -m dismodels.predict isnet --weights FILE IMAGES... --output DIR``, or a Predictor."""

from __future__ import annotations

import glob
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dislayers import fold_batch_norm, upsample
from dismetrics.files import SUFFIXES, ImageFileError, list_images
from dismodels.checkpoints import load_model
from dismodels.data.images import Pixels, read_image, write_mask, write_rgba
from dismodels.data.transforms import resize_image
from dismodels.graph import GraphedFunction
from dismodels.layout import choose_layout
from dismodels.model import Model
from dismodels.registry import list_models
from dismodels.side_outputs import SideOutputModel

_DEFAULT_SIZE = 1024
# They decode images and write masks while the model runs.
_THREADS = 4


class _Photograph(NamedTuple):
    path: Path
    image: Pixels
    resized: Tensor


class Predictor:
    """A model that maps a photograph to its mask, at the photograph's own size.

    The photograph is resized to a square, the probability map back to the photograph (both bilinearly), stretched to
    the whole range and truncated to 8 bits. Batch norms are folded into convolutions
    (:func:`dislayers.fold_batch_norm`), and on CUDA the network runs as one graph (:mod:`dismodels.graph`) from the
    second batch of a size on.

    Args:
        model: what predicts, on the device where it shall run; put into evaluation mode. Its weights are copied: make
            another Predictor after they change.
        size: side of the square in pixels; None takes the size the model was trained at, or else 1024.
        stretch: map each image's lowest probability to 0 and its highest to 255.

    Raises:
        ValueError: the model does not take the three channels of a photograph, or gives no masks.

    Source:
        The official IS-Net inference script, which has no way to leave out the stretch. It gives NaN where a map is
        constant; here such a map is left as it is.
    """

    def __init__(self, model: Model, size: int | None = None, stretch: bool = True) -> None:
        if not isinstance(model, SideOutputModel):
            raise ValueError(f"{model.architecture} gives features, no masks")
        if model.in_channels != 3:
            raise ValueError(f"{model.architecture} takes {model.in_channels} channels, a photograph has 3")
        self._device = next(model.parameters()).device
        folded = fold_batch_norm(model.eval())
        choose_layout(folded, self._device)
        self._probabilities = GraphedFunction(partial(_probabilities, folded), self._device)
        self.size = size or model.input_size or _DEFAULT_SIZE
        self.stretch = stretch

    def __call__(self, image: Pixels) -> Pixels:
        """The mask (H, W) uint8 of image, (H, W, 3) uint8 RGB."""
        return self.masks(resize_image(image, self.size).unsqueeze(0), [image.shape[:2]])[0]

    @torch.inference_mode()
    def masks(self, resized: Tensor, sizes: Sequence[tuple[int, ...]]) -> list[Pixels]:
        """Masks of a batch.

        Args:
            resized: (B, 3, size, size) uint8, as :func:`dismodels.data.transforms.resize_image` gives them.
            sizes: height and width of each mask wanted.

        Returns:
            B masks, (H, W) uint8.
        """
        maps = self._probabilities(resized.to(self._device))
        return [self._mask(probability, size) for probability, size in zip(maps, sizes, strict=True)]

    def _mask(self, probability: Tensor, size: tuple[int, ...]) -> Pixels:
        probability = upsample(probability.unsqueeze(0), size)[0, 0]
        low, high = probability.aminmax()
        if self.stretch and high > low:
            probability = (probability - low) / (high - low)
        return (probability * 255).to(torch.uint8).cpu().numpy()


def _probabilities(model: SideOutputModel, resized: Tensor) -> Tensor:
    return model.predict(model.normalization(resized))


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
    size: int | None = None,
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
        size: side of the square that the model sees; by default the one it was trained at, or else 1024
        batch_size: images that the model sees at once
        rgba: write the photographs cut out, with the mask as alpha, instead of the masks
        device: where the model runs: cpu, cuda, cuda:1, mps; auto takes a GPU if there is one
        stretch: stretch every mask to the whole range from 0 to 255
    """
    paths, problems = find_images(images, output)
    if system not in list_models():
        problems.append(f"no system is called {system!r}; there are: {', '.join(list_models())}")
    if min(batch_size, 1 if size is None else size) < 1:
        problems.append(f"--size and --batch-size must be at least 1, got {size} and {batch_size}")
    if problems:
        return problems
    try:
        predictor = Predictor(load_model(system, weights).to(_device(device)), size, stretch)
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
        photographs = _decoded(pool, paths, predictor.size, batch_size + _THREADS, unreadable)
        while batch := list(islice(photographs, batch_size)):
            resized = torch.stack([photograph.resized for photograph in batch])
            masks = predictor.masks(resized, [photograph.image.shape[:2] for photograph in batch])
            writing.extend(pool.submit(_write, *pair, output, rgba) for pair in zip(batch, masks, strict=True))
            while len(writing) > _THREADS:
                writing.popleft().result()
            progress.advance(task, len(batch))
        for written in writing:
            written.result()
    print(f"{len(paths) - len(unreadable)} of {len(paths)} images segmented, in {output}")
    return unreadable


def _decoded(
    pool: Executor, paths: Sequence[Path], size: int, ahead: int, unreadable: list[str]
) -> Iterator[_Photograph]:
    """The photographs in order, decoded and resized by pool, which keeps so many ahead of the model."""
    waiting: deque[Future[_Photograph]] = deque()
    remaining = iter(paths)
    while True:
        waiting.extend(pool.submit(_decode, path, size) for path in islice(remaining, ahead - len(waiting)))
        if not waiting:
            return
        try:
            yield waiting.popleft().result()
        except ImageFileError as error:
            unreadable.append(str(error))


def _decode(path: Path, size: int) -> _Photograph:
    image = read_image(path)
    return _Photograph(path, image, resize_image(image, size))


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
