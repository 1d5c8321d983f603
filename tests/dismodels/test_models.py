"""Models take any size and channels, answer at native resolutions, and survive a file."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dismodels import CheckpointError, SideOutputs, create_model, list_models, load_checkpoint, save_checkpoint
from dismodels.checkpoints import load_model

NAMES = ["isnet", "isnet_gt_encoder", "u2net", "u2net_small"]


def test_names() -> None:
    sizes = [f"{name}_{size}" for name in ("mscan", "segnext") for size in ("tiny", "small", "base", "large")]
    assert list_models() == sorted([*NAMES, *sizes, "progressive"])
    assert list_models("isnet*") == ["isnet", "isnet_gt_encoder"]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=6, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), channels=st.integers(1, 5))
def test_any_size_and_channels(name: str, height: int, width: int, channels: int) -> None:
    model = create_model(name, in_channels=channels, width=0.05).eval()
    image = torch.randn(2, channels, height, width)
    with torch.no_grad():
        outputs, answer = model(image), model.predict(image)
    assert isinstance(outputs, SideOutputs)
    assert answer.shape == (2, 1, height, width)
    assert answer.min() >= 0
    assert answer.max() <= 1
    assert len(outputs.features) == 6
    scales = [2**level for level in range(6)]
    if name.startswith("isnet"):
        sizes = [(-(-height // (2 * s)), -(-width // (2 * s))) for s in scales]
        assert [tuple(x.shape[-2:]) for x in outputs.logits] == sizes
    else:
        sizes = [(-(-height // s), -(-width // s)) for s in scales]
        assert [tuple(x.shape[-2:]) for x in outputs.logits] == [sizes[0], *sizes]
    assert [tuple(x.shape[-2:]) for x in outputs.features] == sizes


def test_guide_and_network_have_the_same_features() -> None:
    network, guide = create_model("isnet", width=0.25), create_model("isnet_gt_encoder", width=0.25)
    features = network(torch.randn(2, 3, 64, 64)).features
    guides = guide(torch.rand(2, 1, 64, 64)).features
    assert [f.shape for f in features] == [g.shape for g in guides]


def test_xavier_initialisation() -> None:
    model = create_model("isnet")
    weight = model.get_parameter("encoder.3.encoder.0.conv.weight")
    bound = (6 / (9 * (weight.shape[0] + weight.shape[1]))) ** 0.5
    assert weight.abs().max().item() == pytest.approx(bound, rel=1e-2)
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=1e-2)
    assert not model.get_parameter("encoder.3.encoder.0.conv.bias").any()


def test_normalization_says_what_it_cannot_take() -> None:
    normalization = create_model("u2net_small", width=0.1).normalization
    image = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    torch.testing.assert_close(
        normalization(image)[0, :, 0, 0], torch.tensor([2.2489, 2.4286, 2.64]), atol=1e-4, rtol=0
    )
    assert create_model("isnet", width=0.1).normalization(image).unique().tolist() == [0.5]
    with pytest.raises(TypeError, match="image must be uint8"):
        normalization(image.float())
    with pytest.raises(ValueError, match="must have 3 channels for this normalisation, got 1"):
        normalization(image[:, :1])


def test_compiles_whole() -> None:
    model = create_model("isnet", width=0.05).eval()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    image = torch.randn(1, 3, 40, 33)
    torch.testing.assert_close(compiled(image).logits, model(image).logits)


def test_unknown_names_and_options() -> None:
    with pytest.raises(ValueError, match="no model is called 'isnett'; there are: isnet, "):
        create_model("isnett")
    with pytest.raises(TypeError, match="isnet has no option widht; it has: in_channels, width"):
        create_model("isnet", widht=0.5)


def test_a_file_brings_the_model_back(tmp_path: Path) -> None:
    model = create_model("isnet", width=0.1, in_channels=4).eval()
    save_checkpoint(model, tmp_path / "w.safetensors", input_size=96)
    again = load_model("isnet", tmp_path / "w.safetensors")
    assert (again.options, again.input_size) == ({"width": 0.1, "in_channels": 4}, 96)
    image = torch.randn(1, 4, 33, 20)
    with torch.no_grad():
        torch.testing.assert_close(again.predict(image), model.predict(image), rtol=0, atol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    small = tmp_path / "small.safetensors"
    save_checkpoint(create_model("isnet", width=0.1), small)
    with pytest.raises(CheckpointError, match=r"does not fit ISNet: .* of another shape"):
        load_checkpoint(create_model("isnet", width=0.2), small)
    with pytest.raises(CheckpointError, match="holds weights of isnet, expected u2net"):
        load_model("u2net", small)
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors: no such file"):
        load_model("isnet", tmp_path / "none.safetensors")
    junk = tmp_path / "junk.pth"
    junk.write_bytes(b"not weights at all")
    with pytest.raises(CheckpointError, match=r"junk\.pth: damaged, or neither safetensors nor"):
        load_model("isnet", junk)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(small.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"cut\.safetensors: damaged"):
        load_model("isnet", cut)


def test_a_pickle_that_would_run_code_does_not(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    torch.save({"x": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match=r"evil\.pth"):
        load_model("isnet", tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_a_save_that_fails_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "w.safetensors"
    with pytest.raises(OSError, match="could not be written"):
        save_checkpoint(create_model("isnet", width=0.05), path)
    assert list(tmp_path.iterdir()) == []
