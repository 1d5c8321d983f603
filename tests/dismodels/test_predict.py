"""Photographs become masks of their own size, and mistakes are told before anything is computed."""

import sys
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from dismodels import create_model, save_checkpoint
from dismodels.checkpoints import load_model
from dismodels.data.images import read_image
from dismodels.data.transforms import resize_image
from dismodels.predict import find_images, main
from dismodels.predictor import Predictor
from dismodels.side_outputs import SideOutputModel

RNG = np.random.default_rng(0)


class RedChannel(SideOutputModel):
    """Takes the red of an image for its probability."""

    def __init__(self):
        super().__init__(in_channels=3)
        self.weight = nn.Parameter(torch.zeros(()))

    def predict(self, image):
        return image[:, :1] * self.normalization.std[0] + self.normalization.mean[0]


def photograph(path, size=(40, 60)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "isnet.safetensors"
    save_checkpoint(create_model("isnet", width=0.0625), path, input_size=64)
    return path


def command(*arguments):
    """Exit status of the command line; 0 where it returns."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    return 0


def masks_in(folder):
    return {path.stem: np.asarray(Image.open(path)) for path in sorted(folder.iterdir())}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_image_is_resized_predicted_and_resized_back():
    image = RNG.integers(0, 256, (50, 30, 3), dtype=np.uint8)
    mask = Predictor(RedChannel(), size=16, stretch=False)(image)
    expected = F.interpolate(resize_image(image, 16)[None, :1] / 255, (50, 30), mode="bilinear")[0, 0] * 255
    assert mask.dtype == np.uint8
    assert mask.shape == (50, 30)
    # Truncation turns the rounding of the normalisation into a whole grey value.
    assert np.abs(mask.astype(int) - expected.to(torch.uint8).numpy()).max() <= 1


def test_maps_are_stretched_and_constant_ones_left_as_they_are():
    image = np.full((8, 8, 3), 102, np.uint8)
    constant = Predictor(RedChannel(), size=8)(image)
    assert abs(int(constant[0, 0]) - 102) <= 1
    assert np.unique(constant).size == 1
    image[4:] = 204
    assert np.unique(Predictor(RedChannel(), size=8)(image)).tolist() == [0, 255]
    assert Predictor(RedChannel(), size=8, stretch=False)(image).max() in (203, 204)


def test_the_size_is_the_callers_then_the_models_then_1024():
    model = RedChannel()
    assert Predictor(model).size == 1024
    model.input_size = 320
    assert Predictor(model).size == 320
    assert Predictor(model, size=64).size == 64
    assert Predictor(model, size="native").size == "native"


@pytest.mark.parametrize("size", [0, -1, "natve"])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match=f"size must be at least 1 or 'native', got {size!r}"):
        Predictor(RedChannel(), size)


def test_at_its_native_size_a_photograph_is_seen_as_it_is():
    image = RNG.integers(0, 256, (50, 31, 3), dtype=np.uint8)
    for given in (image, image[:, ::-1]):
        prepared = Predictor(RedChannel(), "native").prepare(given)
        np.testing.assert_array_equal(prepared.permute(1, 2, 0), given)
        mask = Predictor(RedChannel(), "native", stretch=False)(given)
        # Truncation turns the rounding of the normalisation into a whole grey value.
        assert np.abs(mask.astype(int) - given[..., 0]).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 3), (31, 40)])
@pytest.mark.parametrize("network", ["isnet", "u2net_small", "segnext", "progressive"])
def test_the_smallest_photographs_have_masks_of_their_size(networks, network, size):
    image = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
    mask = Predictor(networks(network), "native")(image)
    assert mask.shape == size
    # Below 9 pixels a network's map at an eighth of the size is one number, and so is the mask.
    assert max(size) < 9 or np.unique(mask).size > 2


def test_a_model_of_other_inputs_is_refused():
    with pytest.raises(ValueError, match="isnet_gt_encoder takes 1 channels, a photograph has 3"):
        Predictor(create_model("isnet_gt_encoder", width=0.05))


def test_a_model_without_masks_is_refused():
    with pytest.raises(ValueError, match="mscan_tiny gives features, no masks"):
        Predictor(create_model("mscan_tiny"))


def test_a_model_of_several_classes_is_refused():
    with pytest.raises(ValueError, match="segnext_tiny has num_classes=5, a mask needs 1"):
        Predictor(create_model("segnext_tiny", num_classes=5))


@pytest.mark.parametrize("network", ["isnet", "segnext", "progressive"])
def test_an_image_has_one_mask_alone_again_and_anywhere_in_a_batch(networks, network):
    predictor = Predictor(networks(network), size=96)
    images = [RNG.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((20, 30), (96, 96), (70, 190))]
    alone = [predictor(image) for image in images]
    for order in ([0, 1, 2], [2, 1], [1, 1, 2, 0, 1]):
        batch = [images[place] for place in order]
        masks = predictor.masks(torch.stack(list(map(predictor.prepare, batch))), [image.shape[:2] for image in batch])
        for mask, place in zip(masks, order, strict=True):
            np.testing.assert_array_equal(mask, alone[place])
    np.testing.assert_array_equal(predictor(images[0]), alone[0])


def test_predicting_leaves_the_random_numbers_alone(networks):
    before = torch.get_rng_state()
    Predictor(networks("progressive"), size=64)(np.zeros((9, 9, 3), np.uint8))
    assert torch.equal(torch.get_rng_state(), before)


def test_random_bases_give_another_mask_unless_seeded():
    torch.manual_seed(0)
    predictor = Predictor(create_model("progressive", backbone="tiny", bases="random"), size=64)
    images = [RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(2)]
    batch = torch.stack(list(map(predictor.prepare, images))), [(64, 64)] * 2

    def seeded():
        torch.manual_seed(1)
        return predictor.masks(*batch)

    np.testing.assert_array_equal(seeded(), seeded())
    assert (predictor(images[0]) != predictor(images[0])).any()
    assert (seeded()[0] != predictor.masks(*batch)[0]).any()


@pytest.fixture(scope="module")
def networks():
    """The tiny network of a name, always with the same weights."""
    options = {"isnet": {"width": 0.25}, "segnext": {}, "progressive": {"backbone": "tiny"}, "u2net_small": {}}

    @cache
    def network(name):
        torch.manual_seed(0)
        return create_model("segnext_tiny" if name == "segnext" else name, **options[name])

    return network


def learnt_isnet():
    """Whose normalisations are not those of a new network."""
    model = create_model("isnet", width=0.0625)
    for _ in range(3):
        model(torch.randn(4, 3, 64, 64))
    return model.eval()


def test_the_prediction_is_the_models_and_the_model_stays_as_it_was():
    model = learnt_isnet()
    before = {key: (tensor.clone(), tensor.stride()) for key, tensor in model.state_dict().items()}
    image = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    mask = Predictor(model, size=64, stretch=False)(image)
    with torch.inference_mode():
        expected = model.predict(model.normalization(resize_image(image, 64)[None])) * 255
    assert np.abs(mask - expected[0, 0].numpy()).max() < 1.001
    assert model.state_dict().keys() == before.keys()
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[key][0])
        assert tensor.stride() == before[key][1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_masks_of_a_cpu():
    model = learnt_isnet()
    images = [RNG.integers(0, 256, (50, 70, 3), dtype=np.uint8) for _ in range(4)]
    expected = [Predictor(model, size=64, stretch=False)(image) for image in images]
    predictor = Predictor(model.cuda(), size=64, stretch=False)
    for image, mask in zip(images, expected, strict=True):
        assert np.abs(predictor(image).astype(int) - mask).max() <= 2


def test_files_folders_and_patterns(tmp_path):
    for name in ("a.jpg", "deep/b.PNG", "deep/er/c.jpg", "deep/er/[d].png"):
        photograph(tmp_path / name)
    (tmp_path / "deep" / "notes.txt").touch()

    def found(*given):
        paths, problems = find_images([str(tmp_path / name) for name in given], tmp_path / "out")
        assert not problems
        return [path.relative_to(tmp_path).as_posix() for path in paths]

    assert found("a.jpg", "deep") == ["a.jpg", "deep/b.PNG"]
    assert found("**/*") == ["a.jpg", "deep/b.PNG", "deep/er/[d].png", "deep/er/c.jpg"]
    assert found("deep/er/[d].png") == ["deep/er/[d].png"]
    assert found("*.jpg", "a.jpg", "deep/../a.jpg") == ["deep/../a.jpg"]


def test_every_mistake_is_told_at_once(tmp_path, weights, capsys):
    for name in ("x/same.jpg", "y/same.png", "out/mine.png"):
        photograph(tmp_path / name)
    given = [tmp_path / name for name in ("x", "y/same.png", "nowhere.jpg", "*.webp", "out")]
    status = command("isnat", "--weights", weights, *given, "--output", tmp_path / "out", "--size", "0")
    lines = capsys.readouterr().err.splitlines()
    assert status == 1
    for line, parts in zip(
        lines,
        (
            ("nowhere.jpg", "no such file"),
            ("*.webp", "no image"),
            ("same.jpg", "same.png", "both become"),
            ("mine.png", "would replace an image"),
            ("'isnat'", "isnet, ", "u2net"),
            ("--size", "trained or native", "got 0"),
        ),
        strict=True,
    ):
        assert line.startswith("error: ")
        assert all(part in line for part in parts), line
    assert names(tmp_path / "out") == ["mine.png"]


def test_no_images_at_all(tmp_path, weights, capsys):
    assert command("isnet", "--weights", weights, "--output", tmp_path / "out") == 1
    assert "no images were given" in capsys.readouterr().err


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_command_line_writes_a_mask_an_image(tmp_path, weights, capsys, batch_size):
    sizes = {"a": (40, 60), "b": (33, 21), "c": (64, 64), "d.e": (10, 90)}
    for name, size in sizes.items():
        photograph(tmp_path / "in" / f"{name}.png", size)
    out = tmp_path / "new" / "out"
    assert command("isnet", "--weights", weights, tmp_path / "in", "--output", out, "--batch-size", batch_size) == 0
    assert "4 of 4 images" in capsys.readouterr().out
    assert names(out) == [f"{name}.png" for name in sizes]
    for name, size in sizes.items():
        mask = np.asarray(Image.open(out / f"{name}.png"))
        assert mask.shape == size
        assert (mask.min(), mask.max()) == (0, 255)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_photographs_of_unequal_sizes_are_segmented_at_their_own(tmp_path, weights, batch_size):
    sizes = [(40, 60), (40, 60), (33, 21), (40, 60), (1, 1)]
    paths = [photograph(tmp_path / "in" / f"{number}.png", size) for number, size in enumerate(sizes)]
    arguments = ("isnet", "--weights", weights, tmp_path / "in", "--output", tmp_path / "out", "--size", "native")
    assert command(*arguments, "--device", "cpu", "--batch-size", batch_size) == 0
    predictor = Predictor(load_model("isnet", weights), "native")
    masks = masks_in(tmp_path / "out")
    assert list(masks) == [path.stem for path in paths]
    for path in paths:
        np.testing.assert_array_equal(masks[path.stem], predictor(read_image(path)))


def test_neighbours_of_one_size_are_a_batch(tmp_path, weights, monkeypatch):
    for number, size in enumerate([(40, 60), (40, 60), (33, 21), (40, 60)]):
        photograph(tmp_path / "in" / f"{number}.png", size)
    shapes, masks = [], Predictor.masks

    def noted(self, prepared, sizes):
        shapes.append(tuple(prepared.shape))
        return masks(self, prepared, sizes)

    monkeypatch.setattr(Predictor, "masks", noted)
    arguments = ("isnet", "--weights", weights, tmp_path / "in", "--output", tmp_path / "out", "--batch-size", 4)
    assert command(*arguments, "--size", "native") == 0
    assert shapes == [(2, 3, 40, 60), (1, 3, 33, 21), (1, 3, 40, 60)]
    assert command(*arguments, "--size", 64) == 0
    assert shapes[3:] == [(4, 3, 64, 64)]


def test_cutouts_keep_the_colours(tmp_path, weights):
    path = photograph(tmp_path / "in" / "a.jpg")
    arguments = ("isnet", "--weights", weights, path, "--output")
    assert command(*arguments, tmp_path / "masks", "--device", "cpu") == 0
    assert command(*arguments, tmp_path / "cutouts", "--rgba") == 0
    cutout = np.asarray(Image.open(tmp_path / "cutouts" / "a.png"))
    np.testing.assert_array_equal(cutout[..., :3], read_image(path))
    np.testing.assert_array_equal(cutout[..., 3], np.asarray(Image.open(tmp_path / "masks" / "a.png")))


def test_unreadable_images_are_told_at_the_end_and_the_others_kept(tmp_path, weights, capsys):
    for name in "abcdefgh":
        photograph(tmp_path / "in" / f"{name}.jpg", (100, 100))
    for name in "adeh":
        path = tmp_path / "in" / f"{name}.jpg"
        path.write_bytes(path.read_bytes()[:3000])
    out = tmp_path / "out"
    status = command("isnet", tmp_path / "in", "--weights", weights, "--output", out, "--batch-size", 3)
    printed = capsys.readouterr()
    assert status == 1
    assert names(out) == ["b.png", "c.png", "f.png", "g.png"]
    assert "4 of 8 images" in printed.out
    told = [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert [f"{name}.jpg: cannot be read" in line for name, line in zip("adeh", told, strict=True)] == [True] * 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--weights", "nowhere.safetensors"), "nowhere.safetensors"),
        (("--device", "abacus"), "--device abacus"),
        (("--size", "natve"), "--size must be at least 1, trained or native, got natve"),
        (("--batch-size", "0"), "--batch-size must be at least 1, got 0"),
        (("--output", "occupied"), "occupied"),
    ],
)
def test_one_line_for_each_other_mistake(tmp_path, weights, capsys, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "occupied").touch()
    options = {"--weights": weights, "--output": "out"} | dict([change])
    status = command("isnet", photograph(tmp_path / "a.jpg"), *(part for option in options.items() for part in option))
    error = capsys.readouterr().err
    assert status == 1
    assert message in error
    assert len(error.splitlines()) == 1


def test_without_the_extras_the_command_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tyro", None)
    assert command("isnet") == 1
    assert "pip install 'dislayers[cli]'" in capsys.readouterr().err
