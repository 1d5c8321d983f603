"""Pairs decoded once, resized and kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dismodels.data.folder import Pair, Progress, check_pairs
from dismodels.data.images import Pixels
from dismodels.data.transforms import resize_image

# Part of every cache's name: raise it when the same files give other contents.
_FORMAT = 1
_INDEX = "index.json"
_PARTIAL = ".partial"
_ELSEWHERE = "DISLAYERS_CACHE names another place for caches."
_ABANDONED_AFTER_SECONDS = 3600.0


class CacheError(OSError):
    """The cache could not be written; the message says where and why."""


class CachedPairs(Dataset[tuple[Tensor, Tensor]]):
    """Pairs at one size, decoded once into memory-mapped files that later runs find again.

    The cache lies in a folder named by a hash over the format, the size, the threshold and the names, sizes and
    modification times of all files, so that changed data are cached anew. It appears under that name only when it is
    complete; processes that build it at the same time each build their own, and the first to finish is kept.
    It takes ``4 * size**2`` bytes a pair (12.6 GB for the 3,000 pairs of DIS-TR at 1024) and stays until you remove it.

    Args:
        pairs: what to cache; item i is pair i.
        size: height and width of the cached images and masks, whatever their aspect, in pixels.
        threshold: as :func:`dismodels.data.images.read_mask`.
        folder: where caches lie; None takes :func:`default_cache_folder`.
        workers: threads that decode; each holds one decoded pair and its float32 copy.
        progress: called with the number of pairs done and of all while the cache is built.

    Attributes:
        names: name of every pair.
        folder: the folder of this cache.

    Shape:
        Item i is (image (3, size, size), mask (1, size, size)), both uint8 in [0, 255], as
        :func:`dismodels.data.transforms.resize_image` makes them: masks are grey along their edges.

    Raises:
        DataError: pairs cannot be used; the message lists them all.
        CacheError: the disk has too little room, or the cache cannot be written.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        size: int,
        threshold: int | None = None,
        folder: Path | None = None,
        workers: int = 4,
        progress: Progress | None = None,
    ) -> None:
        if size < 1 or not pairs:
            raise ValueError(f"expected size of at least 1 and some pairs, got {size} and {len(pairs)} pairs")
        root = default_cache_folder() if folder is None else Path(folder)
        self.names = [pair.name for pair in pairs]
        self.size = size
        self.folder = root / _key(pairs, size, threshold)
        exists = self.folder.exists()
        if not self._open():
            # Folders appear complete, so one that was there and does not open is damaged.
            if exists:
                shutil.rmtree(self.folder, ignore_errors=True)
            _build(self.folder, pairs, size, threshold, workers, progress)
            if not self._open():
                raise CacheError(f"{self.folder}: the cache was changed while it was being opened")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self._images[index].copy()), torch.from_numpy(self._masks[index].copy())

    def name(self, index: int) -> str:
        """The name of pair index."""
        return self.names[index]

    def __getstate__(self) -> dict[str, Any]:
        # Workers map the files anew: a pickled memory map would carry all the pixels.
        return {key: value for key, value in self.__dict__.items() if key not in ("_images", "_masks")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if not self._open():
            raise CacheError(f"{self.folder}: the cache is gone")

    def _open(self) -> bool:
        """Map the cache's files if they are there, complete and what the index says."""
        try:
            index = json.loads((self.folder / _INDEX).read_text(encoding="utf-8"))
            self._images = np.load(self.folder / "images.npy", mmap_mode="r")
            self._masks = np.load(self.folder / "masks.npy", mmap_mode="r")
        except (OSError, ValueError):
            return False
        shapes = [(len(self), channels, self.size, self.size) for channels in (3, 1)]
        return index.get("names") == self.names and [self._images.shape, self._masks.shape] == shapes


def default_cache_folder() -> Path:
    """Where caches lie: $DISLAYERS_CACHE, or "dislayers" in the platform's folder for a user's caches."""
    if chosen := os.environ.get("DISLAYERS_CACHE"):
        return Path(chosen).expanduser()
    home = Path.home()
    standard = {"win32": home / "AppData" / "Local", "darwin": home / "Library" / "Caches"}
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    return Path(os.environ.get(variable) or standard.get(sys.platform, home / ".cache")) / "dislayers"


def _key(pairs: Sequence[Pair], size: int, threshold: int | None) -> str:
    stamps = [[pair.name, *_stamp(pair.image), *_stamp(pair.mask)] for pair in pairs]
    return hashlib.sha256(json.dumps([_FORMAT, size, threshold, stamps]).encode()).hexdigest()[:24]


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        status = path.stat()
    except OSError:
        # Reading it will fail, and be reported together with every other bad file.
        return path.name, -1, -1
    return path.name, status.st_size, status.st_mtime_ns


def _build(
    folder: Path, pairs: Sequence[Pair], size: int, threshold: int | None, workers: int, progress: Progress | None
) -> None:
    root = folder.parent
    beside = root / f"{folder.name}.{uuid4().hex}{_PARTIAL}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(root)
        _check_space(root, 4 * size**2 * len(pairs))
        beside.mkdir()
        _write(beside, pairs, size, threshold, workers, progress)
        _publish(beside, folder)
    except CacheError:
        raise
    except OSError as error:
        raise CacheError(f"{root}: the cache could not be written: {error.strerror or error}. {_ELSEWHERE}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(
    folder: Path, pairs: Sequence[Pair], size: int, threshold: int | None, workers: int, progress: Progress | None
) -> None:
    count = len(pairs)
    with (
        _ArrayFile(folder / "images.npy", (count, 3, size, size)) as images,
        _ArrayFile(folder / "masks.npy", (count, 1, size, size)) as masks,
    ):

        def store(index: int, image: Pixels, mask: Pixels) -> None:
            images.write(index, resize_image(image, size))
            masks.write(index, resize_image(mask, size))

        check_pairs(pairs, threshold, store, workers, progress)
    index = {"format": _FORMAT, "size": size, "threshold": threshold, "names": [pair.name for pair in pairs]}
    (folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")


def _publish(complete: Path, folder: Path) -> None:
    try:
        complete.rename(folder)
    except OSError:
        # Another process was faster: its cache is as good.
        if not folder.is_dir():
            raise


def _check_space(root: Path, needed: int) -> None:
    free = shutil.disk_usage(root).free
    if free < needed:
        raise CacheError(f"{root}: the cache needs {needed:,} bytes, {free:,} are free. {_ELSEWHERE}")


def _remove_abandoned(root: Path) -> None:
    """Remove what builds that were killed have left; those that go on write every few seconds."""
    for folder in root.glob(f"*{_PARTIAL}"):
        with suppress(OSError):
            newest = max(path.stat().st_mtime for path in [folder, *folder.iterdir()])
            if time.time() - newest > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(folder)


class _ArrayFile:
    """A .npy file of uint8 entries, written in any order by any thread.

    A memory map would not do: where the disk is full, writing to one kills the process instead of raising OSError.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._file = path.open("wb")
        self._lock = threading.Lock()
        self._entry_bytes = prod(shape[1:])
        np.lib.format.write_array_header_1_0(self._file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        self._start = self._file.tell()

    def write(self, index: int, entry: Tensor) -> None:
        with self._lock:
            self._file.seek(self._start + index * self._entry_bytes)
            self._file.write(entry.numpy().data)

    def __enter__(self) -> _ArrayFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
