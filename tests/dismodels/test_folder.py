"""Pairs are found in every usual layout, and everything wrong with them is said at once."""

import numpy as np
import pytest
from PIL import Image

from dismodels.data.folder import DataError, Pair, check_pairs, find_pairs, pairs_from

RNG = np.random.default_rng(0)
PHOTOGRAPH = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)
MASK = np.where(RNG.random((40, 60)) > 0.5, np.uint8(255), np.uint8(0))


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def make_set(root, names=("a", "b"), image_folder="im", mask_folder="gt"):
    for name in names:
        write(root / image_folder / f"{name}.jpg", PHOTOGRAPH)
        write(root / mask_folder / f"{name}.png", MASK)
    return root


@pytest.mark.parametrize("folders", [("im", "gt"), ("images", "masks"), ("Imgs", "GT"), ("image", "labels")])
def test_a_folder_of_images_beside_one_of_masks(tmp_path, folders):
    make_set(tmp_path, ("b", "a.1"), *folders)
    image_folder, mask_folder = (tmp_path / folder for folder in folders)
    assert find_pairs(tmp_path) == [
        Pair("a.1", image_folder / "a.1.jpg", mask_folder / "a.1.png"),
        Pair("b", image_folder / "b.jpg", mask_folder / "b.png"),
    ]


def test_dis5k(tmp_path):
    make_set(tmp_path / "DIS-TR", ["1#Accessories#1#Bag#1_o", "2#Aircraft#5#Kite#2_o"])
    make_set(tmp_path / "DIS-VD", ["v"])
    assert [pair.name for pair in find_pairs(tmp_path, "DIS-TR")] == [
        "1#Accessories#1#Bag#1_o",
        "2#Aircraft#5#Kite#2_o",
    ]
    assert [pair.name for pair in find_pairs(tmp_path / "DIS-VD")] == ["v"]
    for subset in (None, "DIS-TE9"):
        with pytest.raises(DataError, match="has the subsets DIS-TR, DIS-VD"):
            find_pairs(tmp_path, subset)


def test_folders_that_do_not_tell_what_they_hold(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        find_pairs(tmp_path / "nowhere")
    make_set(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="found im, images, gt"):
        find_pairs(tmp_path)


def test_files_without_a_partner_are_all_listed(tmp_path):
    make_set(tmp_path, ["a", "b", "c", "d"])
    for lost in ("gt/a.png", "gt/b.png", "im/d.jpg"):
        (tmp_path / lost).unlink()
    with pytest.raises(DataError, match="3 files without a partner") as caught:
        pairs_from(tmp_path / "im", tmp_path / "gt")
    for name in ("a.jpg: no mask", "b.jpg: no mask", "d.png: no image"):
        assert name in str(caught.value)
    assert "c." not in str(caught.value)


def test_two_images_of_one_stem_and_empty_folders(tmp_path):
    make_set(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images"):
        pairs_from(tmp_path / "im", tmp_path / "empty")
    write(tmp_path / "im" / "a.png", PHOTOGRAPH)
    with pytest.raises(DataError, match="same stem"):
        find_pairs(tmp_path)


def test_good_pairs_are_decoded_once_and_handed_on(tmp_path):
    pairs = find_pairs(make_set(tmp_path))
    seen, steps = {}, []
    check_pairs(
        pairs,
        use=lambda index, image, mask: seen.update({index: (image.shape, mask)}),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps == [(1, 2), (2, 2)]
    assert sorted(seen) == [0, 1]
    for shape, mask in seen.values():
        assert shape == PHOTOGRAPH.shape
        np.testing.assert_array_equal(mask, MASK)


def test_everything_that_is_wrong_is_found_at_once(tmp_path):
    make_set(tmp_path, ["good", "cut", "both", "size", "turned", "soft", "swapped"])
    images, masks = tmp_path / "im", tmp_path / "gt"
    for path in (images / "cut.jpg", images / "both.jpg"):
        path.write_bytes(path.read_bytes()[:1500])
    (masks / "both.png").write_bytes(b"nothing")
    write(masks / "size.png", MASK[:-1])
    write(masks / "turned.png", MASK.T)
    write(masks / "soft.png", MASK // 2)
    write(images / "swapped.jpg", MASK)
    write(masks / "swapped.png", PHOTOGRAPH)
    with pytest.raises(DataError, match="6 of 7 pairs cannot be used") as caught:
        check_pairs(find_pairs(tmp_path))
    problems = caught.value.problems
    expected = {
        "both.jpg": "truncated",
        "both.png": "not an image",
        "cut.jpg": "truncated",
        "size.png": "is 60x39 (width x height), its image",
        "soft.png": "found 0, 127",
        "swapped.png": "looks swapped with its image",
        "turned.png": "turned by its EXIF orientation",
    }
    assert len(problems) == len(expected)
    for name, reason in expected.items():
        assert [problem for problem in problems if name in problem.split(":")[0] and reason in problem], name
        assert name in str(caught.value)
    assert "60x40" in str(caught.value)
    assert "good" not in str(caught.value)


def test_a_long_list_is_cut_but_counted(tmp_path):
    pairs = [Pair(f"{i}", tmp_path / f"{i}.jpg", tmp_path / f"{i}.png") for i in range(40)]
    with pytest.raises(DataError, match="40 of 40 pairs") as caught:
        check_pairs(pairs)
    assert len(caught.value.problems) == 80
    assert str(caught.value).endswith("and 30 more")
    assert len(str(caught.value).splitlines()) == 52


def test_a_threshold_accepts_soft_masks_and_still_notices_a_swap(tmp_path):
    make_set(tmp_path, ["soft", "swapped"])
    write(tmp_path / "gt" / "soft.png", MASK // 2)
    write(tmp_path / "im" / "swapped.jpg", MASK)
    write(tmp_path / "gt" / "swapped.png", PHOTOGRAPH)
    with pytest.raises(DataError, match="1 of 2") as caught:
        check_pairs(find_pairs(tmp_path), threshold=100)
    assert "looks swapped" in caught.value.problems[0]


def test_what_the_caller_cannot_do_ends_the_check(tmp_path):
    pairs = find_pairs(make_set(tmp_path, [f"{i}" for i in range(30)]))

    def fail(index, image, mask):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        check_pairs(pairs, use=fail)
