"""A folder that keeps what an evaluation need not compute twice: results of pairs, skeletons of ground truths."""

import json
import zlib
from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

import dismetrics
from dislayers import skeletonize
from dislayers._runtime.native import extension
from dismetrics.evaluate import Record
from dismetrics.files import make_folder, written_whole

Mask = NDArray[np.bool_]
Entry = TypeVar("Entry")


class Cache:
    """Results and skeletons on disk.

    Each is a small file that appears whole, named by a digest of all it depends on: paths, sizes and times of the image
    files; for a result also the metrics and the code that computes them. So a killed run goes on where it was, what
    has changed is computed anew, and several runs may share the folder. It may be deleted at any time.

    Args:
        folder: made if it is missing.

    Raises:
        OSError: the folder, later an entry, cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._results, self._skeletons = make_folder(folder / "results"), make_folder(folder / "skeletons")

    def record(
        self, name: str, prediction: Path, truth: Path, metrics: Sequence[str], compute: Callable[[], Record]
    ) -> Record:
        """Give what was measured of a pair of files under a name, or compute and keep it."""
        digest = _digest(_identity(prediction), _identity(truth), list(metrics), self._code)
        path = self._results / f"{digest}.json"
        if (record := _load(path, Record.from_json)) is None:
            record = compute()
            _store(path, record.to_json().encode())
        return record._replace(name=name)

    def skeleton(self, file: Path, truth: Mask) -> Mask:
        """Give the skeleton of a ground truth: the file's, (H, W), or compute and keep it."""
        path = self._skeletons / f"{_digest(_identity(file), truth.shape)}.bits"
        if (skeleton := _load(path, lambda content: _decode_mask(content, truth.shape))) is None:
            skeleton = skeletonize(torch.from_numpy(truth)).numpy()
            _store(path, _encode_mask(skeleton))
        return skeleton

    @cached_property
    def _code(self) -> str:
        """What computes the results; a change of it, however small, must not meet results of before."""
        files = sorted(Path(dismetrics.__file__).parent.rglob("*.py"))
        if extension and extension.__file__:
            files.append(Path(extension.__file__))
        return sha256(b"".join([version("dislayers").encode(), *(path.read_bytes() for path in files)])).hexdigest()


def _identity(file: Path) -> list[Any]:
    status = file.stat()
    return [str(file.resolve()), status.st_size, status.st_mtime_ns]


def _digest(*parts: Any) -> str:
    return sha256(json.dumps(parts).encode()).hexdigest()


def _load(path: Path, decode: Callable[[bytes], Entry]) -> Entry | None:
    # After a power cut a file can be there without its content: then it is computed anew.
    try:
        return decode(path.read_bytes())
    except (FileNotFoundError, ValueError, KeyError, TypeError, zlib.error):
        return None


def _store(path: Path, content: bytes) -> None:
    with written_whole(path) as beside:
        beside.write_bytes(content)


def _encode_mask(mask: Mask) -> bytes:
    return zlib.compress(np.packbits(mask).tobytes(), 1)


def _decode_mask(content: bytes, shape: tuple[int, ...]) -> Mask:
    bits = np.frombuffer(zlib.decompress(content), np.uint8)
    height, width = shape
    if bits.size != -(-height * width // 8):
        raise ValueError("a mask of another size")
    return np.unpackbits(bits, count=height * width).view(np.bool_).reshape(shape)
