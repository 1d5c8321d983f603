"""Files: listing, matching, decoding, writing whole."""

import numpy as np
import pytest
from PIL import Image

from dismetrics.files import (
    ImageFileError,
    check_writable,
    list_images,
    match_by_stem,
    read_gray,
    read_size,
    write_whole,
)

GRAY = np.array([[0, 100, 255], [1, 128, 200]], np.uint8)


def save(path, array=GRAY, mode=None, **options):
    image = Image.fromarray(array)
    path.parent.mkdir(exist_ok=True)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def test_images_are_listed_by_stem(tmp_path):
    for name in ("b.PNG", "a.b.jpg", "c.Tiff"):
        save(tmp_path / name)
    for name in ("notes.txt", "._b.png"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "folder.png").mkdir()
    assert [(stem, path.name) for stem, path in list_images(tmp_path).items()] == [
        ("a.b", "a.b.jpg"),
        ("b", "b.PNG"),
        ("c", "c.Tiff"),
    ]


def test_a_missing_folder_a_file_and_an_empty_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent: no such folder"):
        list_images(tmp_path / "absent")
    with pytest.raises(NotADirectoryError, match=r"a\.png: expected a folder"):
        list_images(save(tmp_path / "a.png"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: no images"):
        list_images(tmp_path / "empty")


def test_two_images_of_one_stem_are_refused(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"a\.jpg and a\.png have the same stem"):
        list_images(tmp_path)


def test_ground_truths_say_what_is_matched(tmp_path):
    for name in ("images/a.jpg", "images/b.jpg", "images/unlabelled.jpg", "masks/b.png", "masks/a.png"):
        save(tmp_path / name)
    matches = match_by_stem(tmp_path / "images", tmp_path / "masks")
    assert [(name, first.name, second.name) for name, first, second in matches] == [
        ("a", "a.jpg", "a.png"),
        ("b", "b.jpg", "b.png"),
    ]


def test_all_unmatched_truths_are_listed_up_to_a_number(tmp_path):
    save(tmp_path / "images" / "x.png")
    for number in range(13):
        save(tmp_path / "masks" / f"{number:02}.png")
    with pytest.raises(ValueError, match=r"13 of the 13 ground truths .* 00\.png, .* 09\.png, and 3 more"):
        match_by_stem(tmp_path / "images", tmp_path / "masks")


@pytest.mark.parametrize("mode", [None, "RGB", "RGBA", "LA", "P", "CMYK"])
def test_gray_values_survive_every_mode(tmp_path, mode):
    path = save(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"), mode=mode)
    gray = read_gray(path)
    assert gray.dtype == np.uint8
    assert np.array_equal(gray, GRAY)
    gray[0, 0] = 7  # the caller's own memory


def test_the_first_channel_of_a_colour_counts(tmp_path):
    colours = np.dstack([GRAY, 255 - GRAY, GRAY // 2])
    assert np.array_equal(read_gray(save(tmp_path / "a.png", colours)), GRAY)


def test_a_palette_is_expanded_and_its_transparency_dropped(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([9, 0, 0, 200, 0, 0])
    image.save(tmp_path / "a.png", transparency=bytes([0, 128]))
    assert read_gray(tmp_path / "a.png").tolist() == [[9, 200]]


def test_one_bit_becomes_black_and_white(tmp_path):
    assert set(np.unique(read_gray(save(tmp_path / "a.png", mode="1")))) == {0, 255}


@pytest.mark.parametrize(
    ("dtype", "white", "suffix"),
    [(np.uint16, 2**16 - 1, "png"), (np.uint16, 2**16 - 1, "tif"), (np.int32, 2**31 - 1, "tif")],
)
def test_more_bits_are_scaled_to_eight(tmp_path, dtype, white, suffix):
    deep = np.rint(GRAY / 255 * white).astype(dtype)
    assert np.array_equal(read_gray(save(tmp_path / f"a.{suffix}", deep)), GRAY)


def test_masks_of_zero_and_one_stay_so(tmp_path):
    assert read_gray(save(tmp_path / "a.png", GRAY // 255)).max() == 1


def test_images_beyond_pillows_limit_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    path = save(tmp_path / "a.png")
    assert read_size(path) == (2, 3)
    assert np.array_equal(read_gray(path), GRAY)
    assert Image.MAX_IMAGE_PIXELS == 2


def test_unreadable_files_are_named_with_the_reason(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    whole = save(tmp_path / "whole.png", noise).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no image")
    save(tmp_path / "float.tif", GRAY.astype(np.float32))
    for name, reason in [
        ("cut", "truncated"),
        ("text", "not an image"),
        ("absent", "no such file"),
        ("float", "floating-point"),
    ]:
        path = tmp_path / f"{name}.{'tif' if name == 'float' else 'png'}"
        with pytest.raises(ImageFileError, match=rf"{name}\..*{reason}"):
            read_gray(path)
    with pytest.raises(ImageFileError, match=r"text\.png: not an image"):
        read_size(tmp_path / "text.png")


def test_a_text_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "report.csv"
    write_whole(path, "old\n")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new \ud800")
    assert path.read_bytes() == b"old\n"
    write_whole(path, "new é\n")
    assert path.read_bytes() == "new é\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_refused_beforehand(tmp_path):
    with pytest.raises(IsADirectoryError, match="got a folder"):
        check_writable(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        check_writable(tmp_path / "absent" / "a.csv")
    check_writable(tmp_path / "a.csv")
