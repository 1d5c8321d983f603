import hashlib
import subprocess
import sys
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dismetrics import shape_complexity, split_by_complexity
from dismodels.data.synthetic import SyntheticDataset, photographs, render
from dismodels.data.synthetic.__main__ import main
from dismodels.data.synthetic.kinds import KINDS
from dismodels.data.synthetic.sketch import Sketch, draw_pose, rasterise
from dismodels.data.synthetic.writing import write_set

DIGEST = """
import hashlib, sys
import cv2
cv2.setNumThreads(int(sys.argv[1]))
from dismodels.data.synthetic import render
order = [int(i) for i in sys.argv[2].split(",")]
scenes = {i: render(96, 5, index=i) for i in order}
digest = hashlib.sha256()
for i in sorted(scenes):
    digest.update(scenes[i].image.tobytes() + scenes[i].mask.tobytes() + scenes[i].name.encode())
print(digest.hexdigest())
"""


def digest_elsewhere(threads: int, order: str) -> str:
    command = [sys.executable, "-c", DIGEST, str(threads), order]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dismodels.data.synthetic", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_same_bytes_in_any_process_order_and_number_of_threads():
    digest = hashlib.sha256()
    for index in range(6):
        scene = render(96, 5, index=index)
        digest.update(scene.image.tobytes() + scene.mask.tobytes() + scene.name.encode())
    assert digest_elsewhere(1, "0,1,2,3,4,5") == digest.hexdigest()
    assert digest_elsewhere(4, "5,3,1,0,4,2") == digest.hexdigest()


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(32, 150), st.integers(32, 150)),
    st.integers(0, 2**63),
    st.sampled_from([1, 2, 3, 4, None]),
    st.floats(0, 1),
)
def test_scene_is_well_formed(size, seed, level, contrast):
    image, mask, name = render(size, seed, level, contrast=contrast)
    assert image.dtype == mask.dtype == np.uint8
    assert image.shape == (*size, 3)
    assert mask.shape == size
    assert set(np.unique(mask)) == {0, 255}
    assert 0.02 <= np.mean(mask == 255) <= 0.70
    assert len(name.split("#")) == 5


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.category)
def test_mask_is_the_geometry(kind):
    """The mask at one size is, pixel by pixel, the majority of a raster twice as fine."""
    rng = np.random.default_rng(3)
    sketch = Sketch(rng, kind.levels[0], pixel=0.01)
    kind.draw(sketch)
    pose = draw_pose(rng, sketch.parts, 200, 200, kind.upright)
    coarse, fine = (rasterise(sketch.parts, pose, 200, 200, s) > 0 for s in (4, 8))
    share = [cells.reshape(200, n, 200, n).mean(axis=(1, 3)) for cells, n in ((coarse, 4), (fine, 8))]
    assert np.abs(share[0] - share[1]).max() < 0.5
    assert np.mean((share[0] >= 0.5) != (share[1] >= 0.5)) < 0.02


def test_mask_is_half_opacity_of_the_composite(monkeypatch):
    """A white object on black: what the picture shows as at least half white is the mask."""
    module = sys.modules["dismodels.data.synthetic.scene"]
    monkeypatch.setattr(module, "draw_background", lambda rng, h, w, contrast: np.zeros((h, w, 3), np.float32))
    monkeypatch.setattr(
        module, "ink_table", lambda colours: np.repeat(np.arange(256) > 0, 3).reshape(1, 256, 3) * np.uint8(240)
    )
    monkeypatch.setattr(module, "shading", lambda rng, material, h, w: np.full((h, w), 255 / 240, np.float32))
    monkeypatch.setattr(module, "_relief", lambda rng, surface, alpha: np.ones(alpha.shape[:2], np.float32))
    monkeypatch.setattr(module, "_exposed", lambda rng, picture: np.rint(picture * 240).astype(np.uint8))
    for index in range(4):
        scene = render(128, 11, index=index)
        assert np.array_equal(scene.image[:, :, 0] >= 120, scene.mask == 255)


def test_complexity_rises_with_the_level():
    means = []
    for level in (1, 2, 3, 4):
        masks = np.stack([render(256, 2, level, index=i).mask for i in range(24)])
        complexity = shape_complexity(masks)
        means.append([np.mean(measure) for measure in complexity[:3]])
    for low, high in pairwise(means):
        assert np.all(np.array(high) > 1.3 * np.array(low)), means


def test_a_mixed_set_splits_into_subsets_as_dis5k_s():
    """Ordered by IPQ x dominant points, each measure's mean rises, as those of DIS-TE1 to DIS-TE4 do."""
    complexities = [shape_complexity(render(256, 4, index=index).mask) for index in range(80)]
    subsets = [[complexities[index] for index in part] for part in split_by_complexity(complexities)]
    means = [np.mean(subset, axis=0)[:3] for subset in subsets]
    for low, high in pairwise(means):
        assert np.all(high > 1.3 * low), means


def test_seeds_and_indices_give_different_scenes():
    scenes = [render(48, seed, index=index) for seed in (0, 1) for index in range(24)]
    assert len({scene.image.tobytes() for scene in scenes}) == len(scenes)
    assert len({scene.mask.tobytes() for scene in scenes}) == len(scenes)
    assert len({scene.name for scene in scenes}) == len(scenes)


def test_contrast_separates_object_from_background():
    def separation(contrast: float) -> float:
        """Distance of the mean colours in units of the background's spread."""
        ratios = []
        for index in range(40):
            image, mask, _ = render(64, 4, index=index, contrast=contrast)
            inside, outside = (image[mask == value].astype(float) for value in (255, 0))
            gap = np.linalg.norm(inside.mean(axis=0) - outside.mean(axis=0))
            ratios.append(gap / (outside.std(axis=0).mean() + 1))
        return float(np.mean(ratios))

    assert separation(1.0) > 1.3 * separation(0.0)


def test_without_photographs_only_backgrounds_change(monkeypatch, tmp_path):
    with_photographs = [render(64, 8, index=i) for i in range(12)]
    monkeypatch.setattr(photographs, "FOLDER", tmp_path)
    without = [render(64, 8, index=i) for i in range(12)]
    same = [np.array_equal(a.image, b.image) for a, b in zip(with_photographs, without, strict=True)]
    assert any(same)
    assert not all(same)
    assert all(
        np.array_equal(a.mask, b.mask) and a.name == b.name for a, b in zip(with_photographs, without, strict=True)
    )


def test_only_named_files_of_the_wheel_are_read(monkeypatch, tmp_path):
    Image.fromarray(np.full((40, 40, 4), 200, np.uint8)).save(tmp_path / "coffee.png")
    monkeypatch.setattr(photographs, "FOLDER", tmp_path)
    assert photographs.photograph("coffee.png").shape == (40, 40, 3)
    assert photographs.photograph("brick.png") is None


def test_dataset_item():
    dataset = SyntheticDataset(9, size=64, seed=3)
    image, mask = dataset[5]
    assert len(dataset) == 9
    assert image.shape == (3, 64, 64)
    assert mask.shape == (1, 64, 64)
    assert image.dtype == mask.dtype == torch.uint8
    scene = render(64, 3, 2, index=5)
    assert np.array_equal(image.permute(1, 2, 0).numpy(), scene.image)
    assert dataset.name(5) == scene.name
    assert torch.equal(dataset[-4][0], image)
    assert len([*dataset]) == 9


def test_dataset_through_worker_processes():
    dataset = SyntheticDataset(4, size=48, seed=3)
    loader = torch.utils.data.DataLoader(dataset, batch_size=4, num_workers=2)
    ((images, masks),) = loader
    assert all(torch.equal(images[i], dataset[i][0]) and torch.equal(masks[i], dataset[i][1]) for i in range(4))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"length": -1}, "length must be at least 0, got -1"),
        ({"length": 1, "size": 8}, "size must be at least 32 pixels, got 8"),
        ({"length": 1, "level": 5}, "level must be 1, 2, 3, 4 or None, got 5"),
        ({"length": 1, "seed": -2}, "seed must be at least 0, got -2"),
        ({"length": 1, "contrast": 1.5}, r"contrast must lie in \[0, 1\], got 1.5"),
    ],
)
def test_dataset_refuses(arguments, text):
    with pytest.raises(ValueError, match=text):
        SyntheticDataset(**arguments)


@pytest.mark.parametrize("index", [4, -5])
def test_index_out_of_range(index):
    dataset = SyntheticDataset(4, size=32)
    with pytest.raises(IndexError, match=rf"index must lie in \[0, 4\), got {index}"):
        dataset[index]
    with pytest.raises(IndexError):
        dataset.name(index)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"size": 8, "seed": 0}, "size must be at least 32"),
        ({"size": (64, 31), "seed": 0}, "size must be at least 32"),
        ({"size": 64, "seed": -1}, "seed must be at least 0"),
        ({"size": 64, "seed": 0, "index": -1}, "index must be at least 0"),
        ({"size": 64, "seed": 0, "level": 5}, "level must be 1, 2, 3, 4 or None, got 5"),
        ({"size": 64, "seed": 0, "level": 0}, "level must be 1, 2, 3, 4 or None, got 0"),
        ({"size": 64, "seed": 0, "contrast": -0.1}, "contrast must lie"),
    ],
)
def test_render_refuses(arguments, text):
    with pytest.raises(ValueError, match=text):
        render(**arguments)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_command_writes_the_layout(tmp_path, workers):
    output = tmp_path / "set"
    output.mkdir()
    done = run_command("--output", str(output), "--count", "6", "--size", "64", "--seed", "1", "--workers", workers)
    assert done.returncode == 0, done.stderr
    subsets = {"DIS-TR": 6, "DIS-VD": 1, "DIS-TE1": 1, "DIS-TE2": 1, "DIS-TE3": 1, "DIS-TE4": 1}
    assert {folder.name for folder in output.iterdir()} == set(subsets)
    names = []
    for subset, number in subsets.items():
        images = sorted(path.stem for path in (output / subset / "im").glob("*.jpg"))
        assert images == sorted(path.stem for path in (output / subset / "gt").glob("*.png"))
        assert len(images) == number
        names += images
    assert len(set(names)) == 11
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    (mask,) = (output / "DIS-TE4" / "gt").glob("*.png")
    assert np.array_equal(cv2.imread(str(mask), cv2.IMREAD_UNCHANGED), render(64, 1, 4, index=10).mask)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"size": 8}, "size must be at least 32 pixels, got 8"),
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"workers": -1}, "workers must be at least 0, got -1"),
        ({"contrast": 2.0}, "contrast must lie in [0, 1], got 2.0"),
    ],
)
def test_command_refuses(tmp_path, capsys, arguments, text):
    with pytest.raises(SystemExit) as stop:
        main(tmp_path / "set", **arguments)
    assert stop.value.code not in (0, None)
    assert f"error: {text}" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_command_refuses_a_full_folder(tmp_path):
    (tmp_path / "kept.txt").write_text("mine")
    done = run_command("--output", str(tmp_path), "--count", "1")
    assert done.returncode != 0
    assert "is not an empty folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "kept.txt").read_text() == "mine"


def test_failed_writing_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError("no space left")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="no space left"):
        write_set(tmp_path / "set", 4, 32, 0, 0.6, 0, lambda done, total: done)
    assert not any(tmp_path.iterdir())
