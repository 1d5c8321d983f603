"""Writing a set of scenes in DIS5K's layout: DIR/{DIS-TR,DIS-VD,DIS-TE1..4}/{im,gt}."""

import functools
import multiprocessing
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
from PIL import Image

from dismodels.data.synthetic.scene import LEVELS, check_arguments, render


@dataclass(frozen=True)
class Job:
    """One scene to write: its subset's folder, its number in the whole set, its level."""

    subset: str
    index: int
    level: int


def list_jobs(count: int) -> list[Job]:
    """The scenes of a set of `count` training pictures; every other subset has a sixth of that, as in DIS5K.

    Indices run on through the subsets, so no two of them share a scene or a file name.
    """
    sixth = max(1, round(count / 6))
    mixed = [("DIS-TR", LEVELS[i % 4]) for i in range(count)] + [("DIS-VD", LEVELS[i % 4]) for i in range(sixth)]
    tests = [(f"DIS-TE{level}", level) for level in LEVELS for _ in range(sixth)]
    return [Job(subset, index, level) for index, (subset, level) in enumerate(mixed + tests)]


def write_set(
    output: Path,
    count: int,
    size: int,
    seed: int,
    contrast: float,
    workers: int,
    progress: Callable[[Iterable[None], int], Iterable[None]],
) -> int:
    """Write a whole set beside `output` and rename it when it is complete.

    Args:
        output: folder of the set; must not exist or be empty.
        count: pictures of DIS-TR, at least 1.
        size: side of the pictures in pixels.
        seed: names the set.
        contrast: in [0, 1], see `render`.
        workers: processes that render; 0 renders in this one.
        progress: wraps the iteration over the finished scenes, given their total.

    Returns:
        The number of scenes.

    Raises:
        ValueError: if an argument is out of its range.
        FileExistsError: if `output` is a file or a folder that is not empty.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if workers < 0:
        raise ValueError(f"workers must be at least 0, got {workers}")
    check_arguments(size, seed, None, contrast)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(f"{output} is not an empty folder: choose another --output or empty it first")
    output.parent.mkdir(parents=True, exist_ok=True)

    jobs = list_jobs(count)
    with ExitStack() as stack:
        beside = stack.enter_context(tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent))
        folder = Path(beside) / output.name
        for subset in {job.subset for job in jobs}:
            (folder / subset / "im").mkdir(parents=True)
            (folder / subset / "gt").mkdir()
        write = functools.partial(_write, folder=folder, size=size, seed=seed, contrast=contrast)
        done: Iterable[None] = map(write, jobs)
        if workers:
            # Spawned, not forked: the parent holds torch, whose threads do not survive a fork.
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(workers, context, initializer=cv2.setNumThreads, initargs=(1,))
            done = stack.enter_context(pool).map(write, jobs, chunksize=4)
        for _ in progress(done, len(jobs)):
            pass
        if output.exists():
            output.rmdir()
        folder.replace(output)
    return len(jobs)


def _write(job: Job, folder: Path, size: int, seed: int, contrast: float) -> None:
    image, mask, name = render(size, seed, job.level, index=job.index, contrast=contrast)
    Image.fromarray(image).save(folder / job.subset / "im" / f"{name}.jpg", quality=95)
    Image.fromarray(mask).save(folder / job.subset / "gt" / f"{name}.png")
