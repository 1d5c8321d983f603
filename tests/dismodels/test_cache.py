"""The cache holds exactly the resized pairs, and is trusted only when it is complete and its files are unchanged."""

import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from dismodels.data import cache as cache_module
from dismodels.data.cache import CachedPairs, CacheError, default_cache_folder
from dismodels.data.folder import DataError, find_pairs
from dismodels.data.images import read_image, read_mask
from dismodels.data.transforms import resize_image

SIZE = 32


def write_pair(root, name, seed, size=(40, 60)):
    rng = np.random.default_rng(seed)
    for folder, pixels in (("im", rng.integers(0, 256, (*size, 3))), ("gt", rng.integers(0, 2, size) * 255)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(root / folder / f"{name}.png")


@pytest.fixture
def pairs(tmp_path):
    for seed, name in enumerate("abc"):
        write_pair(tmp_path / "data", name, seed, size=(40 + seed, 60))
    return find_pairs(tmp_path / "data")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def leftovers(folder):
    return list(folder.glob("*.partial"))


def assert_holds(cached, pairs):
    assert len(cached) == len(pairs)
    for index, pair in enumerate(pairs):
        image, mask = cached[index]
        assert torch.equal(image, resize_image(read_image(pair.image), cached.size))
        assert torch.equal(mask, resize_image(read_mask(pair.mask), cached.size))
        assert cached.name(index) == pair.name


@contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("own_threads", [1, 2])
@settings(deadline=None, max_examples=50)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_resizing_is_the_official_one_with_any_number_of_threads(own_threads, height, width, size, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = np.ascontiguousarray(image[..., 0])
    with threads(2):
        official = torch.tensor(image.copy(), dtype=torch.float32).transpose(1, 2).transpose(0, 1)
        official = F.interpolate(official[None], (size, size), mode="bilinear")[0].type(torch.uint8)
        official_mask = F.interpolate(torch.tensor(mask)[None, None].float(), (size, size), mode="bilinear")[0]
    with threads(own_threads):
        assert torch.equal(resize_image(image, size), official)
        assert torch.equal(resize_image(mask, size), official_mask.type(torch.uint8))


def test_items_are_the_resized_pairs(pairs, folder):
    cached = CachedPairs(pairs, SIZE, folder=folder)
    assert_holds(cached, pairs)
    image, mask = cached[0]
    assert (image.dtype, image.shape, mask.dtype, mask.shape) == (
        (torch.uint8, (3, SIZE, SIZE), torch.uint8, (1, SIZE, SIZE))
    )
    assert len(mask.unique()) > 2
    assert cached.names == ["a", "b", "c"]
    assert not leftovers(folder)


def test_items_are_copies(pairs, folder):
    cached = CachedPairs(pairs, SIZE, folder=folder)
    for value in cached[1]:
        value.zero_()
    assert_holds(cached, pairs)


@pytest.mark.parametrize("workers", [1, 3])
def test_progress_and_workers(pairs, folder, workers):
    steps = []
    cached = CachedPairs(pairs, SIZE, folder=folder, workers=workers, progress=lambda *step: steps.append(step))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert_holds(cached, pairs)


def test_a_second_run_decodes_nothing(pairs, folder, monkeypatch):
    CachedPairs(pairs, SIZE, folder=folder)
    monkeypatch.setattr(cache_module, "check_pairs", None)
    assert len(CachedPairs(pairs, SIZE, folder=folder)) == 3


def test_other_sizes_thresholds_and_pairs_have_caches_of_their_own(pairs, folder):
    caches = [
        CachedPairs(pairs, SIZE, folder=folder),
        CachedPairs(pairs, SIZE + 1, folder=folder),
        CachedPairs(pairs, SIZE, threshold=128, folder=folder),
        CachedPairs(pairs[::-1], SIZE, folder=folder),
    ]
    assert len({cached.folder for cached in caches}) == 4
    assert_holds(caches[3], pairs[::-1])


@pytest.mark.parametrize("kind", ["im", "gt"])
def test_a_changed_file_is_cached_anew(pairs, folder, tmp_path, kind):
    before = CachedPairs(pairs, SIZE, folder=folder)[1]
    path = tmp_path / "data" / kind / "b.png"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns + 1_000_000_000
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    os.utime(path, ns=times)
    cached = CachedPairs(pairs, SIZE, folder=folder)
    assert_holds(cached, pairs)
    assert not torch.equal(torch.cat(cached[1]), torch.cat(before))


@pytest.mark.parametrize("damage", ["cut images", "no masks", "no index", "other names", "other format"])
def test_a_damaged_cache_is_built_again(pairs, folder, damage):
    lies = CachedPairs(pairs, SIZE, folder=folder).folder
    images, masks, index = lies / "images.npy", lies / "masks.npy", lies / "index.json"
    if damage == "cut images":
        images.write_bytes(images.read_bytes()[:-10])
    elif damage == "no masks":
        masks.unlink()
    elif damage == "no index":
        index.unlink()
    elif damage == "other names":
        index.write_text(json.dumps({"names": ["x"]}))
    else:
        np.save(images, np.zeros((3, 3, 4, 4), np.uint8))
    cached = CachedPairs(pairs, SIZE, folder=folder)
    assert cached.folder == lies
    assert_holds(cached, pairs)


def test_a_killed_build_leaves_nothing_that_is_trusted(pairs, folder, tmp_path):
    program = """
        import os, sys
        from pathlib import Path
        from dismodels.data.cache import CachedPairs
        from dismodels.data.folder import find_pairs
        die = lambda done, total: os._exit(9) if done == 2 else None
        CachedPairs(find_pairs(Path(sys.argv[1])), 32, folder=Path(sys.argv[2]), progress=die)
    """
    assert run(program, tmp_path / "data", folder).returncode == 9
    (abandoned,) = folder.iterdir()
    assert leftovers(folder) == [abandoned]
    assert_holds(CachedPairs(pairs, SIZE, folder=folder), pairs)
    assert abandoned.exists(), "it might be the work of another process"
    for path in [*abandoned.iterdir(), abandoned]:
        os.utime(path, (0, 0))
    CachedPairs(pairs, SIZE + 1, folder=folder)
    assert not leftovers(folder)


def test_builds_at_the_same_time_do_not_meet(pairs, folder):
    barrier = threading.Barrier(2, timeout=60)
    built = []

    def build():
        wait_once = lambda done, total: barrier.wait() if done == total else None  # noqa: E731
        built.append(CachedPairs(pairs, SIZE, folder=folder, progress=wait_once))

    both = [threading.Thread(target=build) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(built) == 2
    for cached in built:
        assert_holds(cached, pairs)
    assert [path.name for path in folder.iterdir()] == [built[0].folder.name]


def test_pickles_are_small_and_open_the_files_again(pairs, folder):
    cached = CachedPairs(pairs, SIZE, folder=folder)
    pickled = pickle.dumps(cached)
    assert len(pickled) < 1000 < SIZE * SIZE * 4
    assert_holds(pickle.loads(pickled), pairs)
    for path in cached.folder.iterdir():
        path.unlink()
    with pytest.raises(CacheError, match="is gone"):
        pickle.loads(pickled)


def test_a_data_loader_with_workers(pairs, folder):
    images, masks = next(iter(DataLoader(CachedPairs(pairs, SIZE, folder=folder), batch_size=3, num_workers=1)))
    assert images.shape == (3, 3, SIZE, SIZE)
    assert masks.shape == (3, 1, SIZE, SIZE)


def test_bad_pairs_are_all_named_and_nothing_is_left(pairs, folder, tmp_path):
    (tmp_path / "data" / "im" / "a.png").write_bytes(b"nothing")
    (tmp_path / "data" / "gt" / "c.png").unlink()
    with pytest.raises(DataError, match="2 of 3 pairs") as caught:
        CachedPairs(pairs, SIZE, folder=folder)
    assert "a.png" in str(caught.value)
    assert "c.png: no such file" in str(caught.value)
    assert not list(folder.iterdir())


@pytest.mark.parametrize(("size", "count"), [(0, 3), (SIZE, 0)])
def test_sizes_and_pairs_that_make_no_sense(pairs, folder, size, count):
    with pytest.raises(ValueError, match="expected"):
        CachedPairs(pairs[:count], size, folder=folder)


def test_too_little_room_is_noticed_before(pairs, folder, monkeypatch):
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda path: free)
    with pytest.raises(CacheError, match="needs 12,288 bytes, 1,000 are free") as caught:
        CachedPairs(pairs, SIZE, folder=folder)
    assert str(folder) in str(caught.value)
    assert "DISLAYERS_CACHE" in str(caught.value)
    assert not list(folder.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="limits of the file size are POSIX")
def test_a_disk_that_fills_up_while_the_cache_is_written(pairs, folder, tmp_path):
    program = """
        import resource, sys
        from pathlib import Path
        from dismodels.data.cache import CachedPairs, CacheError
        from dismodels.data.folder import find_pairs
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            CachedPairs(find_pairs(Path(sys.argv[1])), 128, folder=Path(sys.argv[2]))
        except CacheError as error:
            print(error)
    """
    finished = run(program, tmp_path / "data", folder)
    assert finished.returncode == 0, finished.stderr
    assert f"{folder}: the cache could not be written: File too large" in finished.stdout
    assert not list(folder.iterdir())


def test_a_place_that_cannot_be_a_folder(pairs, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="could not be written"):
        CachedPairs(pairs, SIZE, folder=tmp_path / "file" / "cache")


def test_the_default_place(monkeypatch, tmp_path, pairs):
    monkeypatch.delenv("DISLAYERS_CACHE", raising=False)
    if sys.platform.startswith("linux"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert default_cache_folder() == tmp_path / "xdg" / "dislayers"
        monkeypatch.delenv("XDG_CACHE_HOME")
        assert default_cache_folder() == Path.home() / ".cache" / "dislayers"
    monkeypatch.setenv("DISLAYERS_CACHE", str(tmp_path / "mine"))
    assert default_cache_folder() == tmp_path / "mine"
    assert CachedPairs(pairs, SIZE).folder.parent == tmp_path / "mine"


def run(program, *arguments):
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
