"""Every kind of image file becomes the same colours, and every broken one the same error."""

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dismetrics.files import ImageFileError
from dismodels.data.images import read_image, read_mask, write_mask, write_rgba

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = COLOURS[..., 0]
BINARY = np.where(GREY > 127, np.uint8(255), np.uint8(0))

# What each EXIF orientation asks a viewer to do with the stored pixels.
ORIENTATIONS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def save(path, image, **options):
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def oriented(path, pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return save(path, pixels, exif=exif)


def grey_as_rgb(grey):
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation_is_applied_to_images_and_masks(tmp_path, orientation):
    turned = ORIENTATIONS[orientation]
    np.testing.assert_array_equal(read_image(oriented(tmp_path / "i.png", COLOURS, orientation)), turned(COLOURS))
    np.testing.assert_array_equal(read_mask(oriented(tmp_path / "m.png", BINARY, orientation)), turned(BINARY))


def test_a_photograph_that_was_held_upright(tmp_path):
    assert read_image(oriented(tmp_path / "photo.jpg", COLOURS, 6)).shape == (9, 6, 3)


def test_16_bits_become_the_upper_8(tmp_path):
    deep = GREY.astype(np.uint16) * 256 + 77
    np.testing.assert_array_equal(read_image(save(tmp_path / "grey.png", deep)), grey_as_rgb(GREY))
    np.testing.assert_array_equal(read_image(save(tmp_path / "grey.tif", deep)), grey_as_rgb(GREY))
    assert cv2.imwrite(str(tmp_path / "rgb.png"), COLOURS[..., ::-1].astype(np.uint16) * 256 + 77)
    np.testing.assert_array_equal(read_image(tmp_path / "rgb.png"), COLOURS)


def test_alpha_is_dropped_and_the_colours_below_it_kept(tmp_path):
    alpha = np.zeros_like(GREY)
    np.testing.assert_array_equal(read_image(save(tmp_path / "rgba.png", np.dstack([COLOURS, alpha]))), COLOURS)
    la = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)])
    np.testing.assert_array_equal(read_image(save(tmp_path / "la.png", la)), grey_as_rgb(GREY))


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(54))])
def test_palettes_are_looked_up(tmp_path, transparency):
    image = Image.frombytes("P", (9, 6), bytes(range(54)))
    image.putpalette(COLOURS.tobytes())
    options = {} if transparency is None else {"transparency": transparency}
    np.testing.assert_array_equal(read_image(save(tmp_path / "palette.png", image, **options)), COLOURS)


def test_grey_and_one_bit(tmp_path):
    np.testing.assert_array_equal(read_image(save(tmp_path / "grey.png", GREY)), grey_as_rgb(GREY))
    np.testing.assert_array_equal(read_image(save(tmp_path / "bit.png", BINARY > 0)), grey_as_rgb(BINARY))


def test_cmyk(tmp_path):
    smooth = np.zeros((16, 16, 3), np.uint8) + np.array([200, 90, 30], np.uint8)
    read = read_image(save(tmp_path / "cmyk.jpg", Image.fromarray(smooth).convert("CMYK"), quality=100))
    assert np.abs(read.astype(int) - smooth).max() <= 3


def test_pixels_are_writable_for_torch(tmp_path):
    for image in (COLOURS, GREY, GREY.astype(np.uint16)):
        assert read_image(save(tmp_path / "image.png", image)).flags.writeable


def test_large_photographs_are_read_and_pillows_limit_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    np.testing.assert_array_equal(read_image(save(tmp_path / "large.png", COLOURS)), COLOURS)
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_truncated_files_are_named(tmp_path, read, suffix):
    path = save(tmp_path / f"cut{suffix}", np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageFileError, match=f"cut{suffix}: cannot be read: .+"):
        read(path)


@pytest.mark.parametrize("read", [read_image, read_mask])
def test_files_that_are_no_images_are_named(tmp_path, read):
    (tmp_path / "text.png").write_text("a page")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    save(tmp_path / "float.tif", Image.fromarray(GREY.astype(np.float32)))
    save(tmp_path / "int32.tif", Image.fromarray(GREY.astype(np.int32) + 70000))
    reasons = {
        "text.png": "not an image",
        "empty.png": "not an image",
        "folder.png": "(?i)directory|denied",
        "missing.png": "(?i)no such file",
        "float.tif": "floating point",
        "int32.tif": "16 bits",
    }
    for name, reason in reasons.items():
        with pytest.raises(ImageFileError, match=reason) as caught:
            read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_damaged_file_is_an_image_or_an_image_file_error(tmp_path, data):
    content = bytearray(save(tmp_path / "whole.png", COLOURS).read_bytes())
    for position in data.draw(st.lists(st.integers(8, len(content) - 1), min_size=1, max_size=3)):
        content[position] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged.png").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        image = read_image(tmp_path / "damaged.png")
    except ImageFileError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3


@pytest.mark.parametrize(
    "stored",
    [
        BINARY,
        BINARY // 255,
        BINARY > 0,
        (BINARY // 255).astype(np.uint16),
        BINARY.astype(np.uint16),
        BINARY.astype(np.uint16) * 257,
        np.dstack([BINARY, GREY, GREY]),
        np.dstack([BINARY, GREY, GREY, GREY]),
    ],
    ids=["255", "1", "bit", "16bit-1", "16bit-255", "16bit-65535", "rgb", "rgba"],
)
@pytest.mark.parametrize("threshold", [None, 128])
def test_binary_masks_of_every_kind(tmp_path, stored, threshold):
    mask = read_mask(save(tmp_path / "mask.png", stored), threshold)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, BINARY)


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (1, 255), (255, 255)])
def test_constant_masks(tmp_path, value, expected):
    mask = read_mask(save(tmp_path / "mask.png", np.full((3, 4), value, np.uint8)))
    np.testing.assert_array_equal(mask, np.full((3, 4), expected))


def test_a_grey_mask_is_refused_with_its_values_or_cut_at_the_threshold(tmp_path):
    path = save(tmp_path / "soft.png", np.array([[0, 1, 128, 129, 255]], np.uint8))
    with pytest.raises(ValueError, match=r"soft\.png: not a binary mask.*found 0, 1, 128, 129, 255"):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, 128), [[0, 0, 0, 255, 255]])
    many = save(tmp_path / "many.png", np.arange(256, dtype=np.uint8).reshape(16, 16))
    with pytest.raises(ValueError, match=r"0, 1, 2, 3, 4, 5, 6, 7, \.\.\. \(256 values\)"):
        read_mask(many)


def test_masks_and_cutouts_come_back_as_written(tmp_path):
    write_mask(tmp_path / "mask.png", GREY)
    write_rgba(tmp_path / "cutout.png", np.dstack([COLOURS, GREY]))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "mask.png")), GREY)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "cutout.png")), np.dstack([COLOURS, GREY]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cutout.png", "mask.png"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    write_mask(tmp_path / "mask.png", BINARY)

    def full(self, path, **options):
        path.write_bytes(b"half a")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match=r"mask\.png: cannot be written: No space left on device"):
        write_mask(tmp_path / "mask.png", GREY)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), BINARY)
    assert [path.name for path in tmp_path.iterdir()] == ["mask.png"]
