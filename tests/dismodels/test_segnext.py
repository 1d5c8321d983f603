"""SegNeXt has the official names and sizes, its head the official formula; an image gives one answer."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dislayers.nmf import reference
from dismodels import CheckpointError, create_model, load_checkpoint, load_official_state_dict, save_checkpoint
from dismodels.backbones.mscan import MSCAN
from dismodels.checkpoints import load_model
from dismodels.segnext import SegNeXt, official_name
from tests.dismodels.filled_weights import weight
from tests.dismodels.multiplications import giga_multiplications

GOLDEN = Path(__file__).parent / "golden"
# With the 150 classes of ADE20K; width of the head and channels it sees.
PARAMETERS = {"tiny": 4_263_414, "small": 13_932_886, "base": 27_636_310, "large": 48_926_550}
WIDTHS = {"tiny": (256, 480), "small": (256, 960), "base": (512, 960), "large": (1024, 960)}
RANKS = {"tiny": 16, "small": 16, "base": 64, "large": 64}
TINY_MSCAN = partial(MSCAN, (4, 6, 8, 10), (1, 2, 1, 1), (2, 2, 1, 1))


def head_shapes(size: str, classes: int = 150) -> dict[str, list[int]]:
    width, seen = WIDTHS[size]
    shapes = {"conv_seg.weight": [classes, width, 1, 1], "conv_seg.bias": [classes]}
    for name, channels, norm in (("squeeze", seen, "squeeze.gn"), ("align", width, "align.gn")):
        shapes |= {f"{name}.conv.weight": [width, channels, 1, 1]}
        shapes |= {f"{norm}.{part}": [width] for part in ("weight", "bias")}
    shapes |= {"hamburger.ham_in.conv.weight": [width, width, 1, 1], "hamburger.ham_in.conv.bias": [width]}
    shapes |= {"hamburger.ham_out.conv.weight": [width, width, 1, 1]}
    return shapes | {f"hamburger.ham_out.gn.{part}": [width] for part in ("weight", "bias")}


def official_shapes(size: str, classes: int = 150) -> dict[str, list[int]]:
    backbone = json.loads(str(np.load(GOLDEN / f"mscan_{size}.npz")["keys"]))
    head = head_shapes(size, classes)
    return {f"backbone.{k}": shape for k, shape in backbone.items()} | {f"decode_head.{k}": s for k, s in head.items()}


def official_state(size: str, classes: int = 1) -> dict[str, Tensor]:
    shapes = official_shapes(size, classes).items()
    return {key: torch.from_numpy(np.asarray(weight(key, tuple(shape), 13, 0.7))) for key, shape in shapes}


def small(**options: object) -> SegNeXt:
    """Few channels; the head's weights are large enough for its answers to differ."""
    model = SegNeXt(TINY_MSCAN, 64, 4, **options)
    torch.nn.init.normal_(model.head.classify.weight)
    return model


@pytest.mark.parametrize("size", PARAMETERS)
def test_official_names_cover_every_entry(size: str) -> None:
    with torch.device("meta"):
        model, one = create_model(f"segnext_{size}", num_classes=150), create_model(f"segnext_{size}")
    own = {key: list(value.shape) for key, value in model.state_dict().items()}
    shapes = official_shapes(size)
    assert {official_name(key): shape for key, shape in shapes.items()} == own
    assert [official_name(key) for key in own] == list(own)
    assert len(shapes) == len(own)
    assert model.head.hamburger.rank == RANKS[size]
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[size]
    fewer = 149 * (WIDTHS[size][0] + 1)
    assert sum(parameter.numel() for parameter in one.parameters()) == PARAMETERS[size] - fewer


def test_multiplications_are_as_many_as_published() -> None:
    # 137.6 in the paper's table, which counts norms too.
    assert giga_multiplications(create_model("segnext_base"), 1024) == pytest.approx(137.31, abs=0.005)


def test_official_files_load(tmp_path: Path) -> None:
    state = official_state("tiny", classes=3)
    torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "official.pth")
    model = create_model("segnext_tiny", num_classes=3)
    load_checkpoint(model, tmp_path / "official.pth")
    own = model.state_dict()
    for here, official in {
        "backbone.stages.3.blocks.1.mlp.scale": "backbone.block4.1.layer_scale_2",
        "head.squeeze.0.weight": "decode_head.squeeze.conv.weight",
        "head.hamburger.conv_in.bias": "decode_head.hamburger.ham_in.conv.bias",
        "head.hamburger.conv_out.weight": "decode_head.hamburger.ham_out.conv.weight",
        "head.hamburger.norm.weight": "decode_head.hamburger.ham_out.gn.weight",
        "head.align.1.bias": "decode_head.align.gn.bias",
        "head.classify.bias": "decode_head.conv_seg.bias",
    }.items():
        torch.testing.assert_close(own[here], state[official], rtol=0, atol=0)
    del state["decode_head.conv_seg.bias"]
    with pytest.raises(CheckpointError, match=r"1 missing: head\.classify\.bias"):
        load_official_state_dict(model, state)
    with pytest.raises(CheckpointError, match="2 of another shape"):
        load_official_state_dict(create_model("segnext_tiny"), official_state("tiny", classes=3))


def test_the_head_is_the_official_formula() -> None:
    state = official_state("tiny")
    model = create_model("segnext_tiny").eval()
    load_official_state_dict(model, state)
    head = {key.removeprefix("decode_head."): value for key, value in state.items()}
    image = torch.randn(2, 3, 90, 70)

    def convolve(name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, head[f"{name}.weight"], head.get(f"{name}.bias"))

    def norm(name: str, x: Tensor) -> Tensor:
        return F.group_norm(x, 32, head[f"{name}.weight"], head[f"{name}.bias"])

    with torch.no_grad():
        found = model(image)
        first, *others = model.backbone(image)[1:]
        resized = [F.interpolate(x, size=first.shape[2:], mode="bilinear", align_corners=False) for x in others]
        x = norm("squeeze.gn", convolve("squeeze.conv", torch.cat([first, *resized], 1))).relu()
        features = convolve("hamburger.ham_in.conv", x).relu().flatten(2)
        context = reference.nmf(features, model.head.hamburger.seeded_bases.expand(2, -1, -1), 7).view_as(x)
        x = (x + norm("hamburger.ham_out.gn", convolve("hamburger.ham_out.conv", context))).relu()
        x = norm("align.gn", convolve("align.conv", x)).relu()
        expected = convolve("conv_seg", x)
    torch.testing.assert_close(found.features, [x], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.logits, [expected], rtol=1e-3, atol=1e-3)


@settings(max_examples=10, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), channels=st.integers(1, 4), classes=st.integers(1, 4))
def test_any_size_channels_and_classes(height: int, width: int, channels: int, classes: int) -> None:
    model, image = small(num_classes=classes, in_channels=channels).eval(), torch.randn(2, channels, height, width)
    with torch.no_grad():
        (logits,), (features,) = model(image)
        probabilities = model.predict(image)
    eighth = (-(-height // 8), -(-width // 8))
    assert logits.shape == (2, classes, *eighth)
    assert features.shape == (2, 64, *eighth)
    assert probabilities.shape == (2, classes, height, width)
    assert 0 <= probabilities.min() <= probabilities.max() <= 1
    if classes > 1:
        torch.testing.assert_close(probabilities.sum(1), torch.ones(2, height, width))


def test_an_image_has_one_answer() -> None:
    model, images = small().eval(), torch.randn(3, 3, 61, 50)
    with torch.no_grad():
        together, again = model.predict(images), model.predict(images)
        alone = torch.cat([model.predict(image[None]) for image in images])
    torch.testing.assert_close(again, together, rtol=0, atol=0)
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-4)


def test_random_bases_give_another_answer_every_time() -> None:
    model, image = small(bases="random").eval(), torch.randn(1, 3, 61, 50)
    with torch.no_grad():
        assert (model.predict(image) - model.predict(image)).abs().max() > 1e-3


def test_gradients_reach_every_parameter_and_the_image() -> None:
    model, image = small(), torch.randn(2, 3, 70, 64, requires_grad=True)
    model(image).logits[0].sin().sum().backward()
    without = [name for name, parameter in model.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert without == []
    assert image.grad.abs().sum() > 0


def test_initialisation() -> None:
    head = create_model("segnext_tiny").head
    assert head.squeeze[0].weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.05)
    assert head.classify.weight.std().item() == pytest.approx(0.01, rel=0.2)
    assert not head.classify.bias.any()


def test_a_file_brings_the_model_back(tmp_path: Path) -> None:
    model = create_model("segnext_tiny", num_classes=2, drop_path=0.2).eval()
    save_checkpoint(model, tmp_path / "w.safetensors")
    again = load_model("segnext_tiny", tmp_path / "w.safetensors")
    assert again.options == {"num_classes": 2, "drop_path": 0.2}
    image = torch.randn(1, 3, 45, 38)
    with torch.no_grad():
        torch.testing.assert_close(again.predict(image), model.predict(image), rtol=0, atol=0)


def test_compiles_whole() -> None:
    model, image = small(drop_path=0.0).eval(), torch.randn(2, 3, 40, 33)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(image).logits, model(image).logits, rtol=1e-4, atol=1e-4)


def test_what_is_no_segnext() -> None:
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        create_model("segnext_tiny", num_classes=0)
    with pytest.raises(ValueError, match="bases must be one of"):
        create_model("segnext_tiny", bases="fixed")
    with pytest.raises(TypeError, match="segnext_tiny has no option width; it has: num_classes, in_channels, drop_"):
        create_model("segnext_tiny", width=64)
