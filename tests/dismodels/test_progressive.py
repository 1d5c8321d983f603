"""The progressive network has the paper's size, refines level by level, and gives an image one mask."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dismodels import create_model, save_checkpoint
from dismodels.backbones.mscan import MSCAN
from dismodels.checkpoints import load_model
from dismodels.predictor import Predictor
from dismodels.progressive import PRESETS, Progressive, ProgressiveDecoder
from tests.dismodels.multiplications import giga_multiplications

# Parameters and 10^9 multiplications of convolutions and matrix products at 1024x1024.
SIZES = {
    "A": (28_008_132, 128.85),
    "B": (27_957_188, 128.96),
    "C": (27_967_940, 128.85),
    "D": (28_039_620, 127.24),
    "E": (27_987_843, 127.75),
}
CHANNELS = (4, 6, 8, 10)


def small(bases: str = "seeded", drop_path: float = 0.1, **options: object) -> nn.Sequential:
    """Few channels and three levels; the heads' weights are large enough for their answers to differ."""
    decoder = ProgressiveDecoder(CHANNELS, (64, 64, 96), 4, bases=bases, **options)
    for head in decoder.heads:
        nn.init.normal_(head.classify.weight)
    return nn.Sequential(MSCAN(CHANNELS, (1, 2, 1, 1), (2, 2, 1, 1), drop_path=drop_path), decoder)


def tiny(**options: object) -> Progressive:
    model = create_model("progressive", backbone="tiny", widths=(64, 64), rank=4, **options)
    assert isinstance(model, Progressive)
    for head in model.decoder.heads:
        nn.init.normal_(head.classify.weight)
    return model


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_the_size_of_the_paper(preset: str) -> None:
    with torch.device("meta"):
        model = create_model("progressive", preset=preset)
    parameters, multiplications = SIZES[preset]
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert giga_multiplications(model, 1024) == pytest.approx(multiplications, abs=0.005)


@pytest.mark.parametrize(
    ("options", "fed"),
    [
        ({}, [193, 385, 385, 0]),
        ({"preset": "B"}, [192, 256, 512, 0]),
        ({"preset": "E"}, [353, 353, 0]),
        ({"feed_map": False}, [192, 384, 384, 0]),
        ({"feed_features": False}, [1, 1, 1, 0]),
        ({"preset": "C", "feed_features": False}, [0, 0, 0, 0]),
        ({"widths": (32, 64), "rank": 8}, [65, 0]),
        ({"backbone": "tiny"}, [193, 385, 385, 0]),
    ],
)
def test_options_replace_parts_of_a_preset(options: dict[str, object], fed: list[int]) -> None:
    with torch.device("meta"):
        model = create_model("progressive", **options)
    heads, channels = model.decoder.heads, model.backbone.channels
    widths = options.get("widths", PRESETS[str(options.get("preset", "A"))].widths)
    own = channels[-len(widths) :]
    assert [head.squeeze[0].in_channels for head in heads] == [a + b for a, b in zip(fed, own, strict=True)]
    assert [head.squeeze[0].out_channels for head in heads] == list(widths)
    assert {head.hamburger.rank for head in heads} == {
        options.get("rank", PRESETS[str(options.get("preset", "A"))].rank)
    }


@pytest.mark.parametrize("feed_map", [True, False])
@pytest.mark.parametrize("feed_features", [True, False])
def test_a_level_sees_what_the_one_below_has_found(feed_map: bool, feed_features: bool) -> None:
    model = small(feed_map=feed_map, feed_features=feed_features).eval()
    backbone, decoder = model
    with torch.no_grad():
        maps = backbone(torch.randn(2, 3, 75, 50))
        outputs = decoder(maps)
        below: list[Tensor] = []
        for level in (2, 1, 0):
            x = maps[level + 1]
            resized = [F.interpolate(b, size=x.shape[2:], mode="bilinear", align_corners=False) for b in below]
            logits, features = decoder.heads[level](torch.cat([*resized, x], 1))
            torch.testing.assert_close(outputs.logits[level], logits, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(outputs.features[level], features, rtol=1e-4, atol=1e-4)
            below = ([features] if feed_features else []) + ([logits.sigmoid()] if feed_map else [])


@settings(max_examples=10, deadline=None)
@given(height=st.integers(1, 80), width=st.integers(1, 80), levels=st.integers(1, 4), channels=st.integers(1, 4))
def test_any_size_levels_and_channels(height: int, width: int, levels: int, channels: int) -> None:
    model = create_model("progressive", backbone="tiny", widths=(64,) * levels, rank=4, in_channels=channels).eval()
    image = torch.randn(1, channels, height, width)
    with torch.no_grad():
        outputs, answer = model(image), model.predict(image)
    sizes = [(-(-height // scale), -(-width // scale)) for scale in (4, 8, 16, 32)[-levels:]]
    assert [tuple(x.shape) for x in outputs.logits] == [(1, 1, *size) for size in sizes]
    assert [tuple(x.shape) for x in outputs.features] == [(1, 64, *size) for size in sizes]
    assert answer.shape == (1, 1, height, width)
    assert 0 <= answer.min() <= answer.max() <= 1


def test_an_image_has_one_mask() -> None:
    model, images = tiny().eval(), torch.randn(3, 3, 75, 50)
    with torch.no_grad():
        together, again = model.predict(images), model.predict(images)
        alone = torch.cat([model.predict(image[None]) for image in images])
    torch.testing.assert_close(again, together, rtol=0, atol=0)
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-4)
    assert together.std() > 0.01


def test_random_bases_give_another_mask_every_time() -> None:
    model, image = tiny(bases="random").eval(), torch.randn(1, 3, 75, 50)
    with torch.no_grad():
        assert (model.predict(image) - model.predict(image)).abs().max() > 1e-3


@pytest.mark.parametrize("supervised", [1, 3])
def test_gradients_reach_every_parameter_from_one_scale_and_from_all(supervised: int) -> None:
    model, image = small(), torch.randn(2, 3, 70, 64, requires_grad=True)
    sum(logits.sin().sum() for logits in model(image).logits[:supervised]).backward()
    without = [name for name, parameter in model.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert without == []
    assert image.grad.abs().sum() > 0


def test_drop_path_is_the_backbones() -> None:
    model = create_model("progressive", backbone="tiny", widths=(64,), drop_path=0.25)
    assert max(b.drop_path for b in model.modules() if hasattr(b, "drop_path")) == pytest.approx(0.25)


def test_a_file_brings_the_model_back(tmp_path: Path) -> None:
    model = create_model("progressive", preset="E", backbone="tiny", widths=(32, 64), feed_map=False).eval()
    save_checkpoint(model, tmp_path / "w.safetensors", input_size=96)
    again = load_model("progressive", tmp_path / "w.safetensors")
    assert again.options == {"preset": "E", "backbone": "tiny", "widths": [32, 64], "feed_map": False}
    assert again.input_size == 96
    torch.testing.assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert not [key for key in model.state_dict() if "seeded" in key]
    image = torch.randn(1, 3, 75, 50)
    with torch.no_grad():
        torch.testing.assert_close(again.predict(image), model.predict(image), rtol=0, atol=0)


def test_photographs_of_any_size_get_masks() -> None:
    photograph = np.random.default_rng(0).integers(0, 256, (83, 61, 3), dtype=np.uint8)
    mask = Predictor(tiny(), size=96)(photograph)
    assert (mask.shape, mask.dtype) == ((83, 61), np.uint8)
    assert (mask.min(), mask.max()) == (0, 255)


@pytest.mark.parametrize("training", [False, True])
def test_compiles_whole(training: bool) -> None:
    model = small(drop_path=0.0).train(training)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    outputs = compiled(torch.randn(2, 3, 75, 50))
    assert [tuple(x.shape[-2:]) for x in outputs.logits] == [(10, 7), (5, 4), (3, 2)]
    assert all(x.isfinite().all() for x in outputs.features)
    if not training:
        image = torch.randn(2, 3, 75, 50)
        torch.testing.assert_close(compiled(image).logits, model(image).logits, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "F"}, "preset must be one of A, B, C, D, E, got 'F'"),
        ({"backbone": "b"}, "backbone must be one of tiny, small, base, large, got 'b'"),
        ({"widths": ()}, r"widths must be 1 to 4 positive multiples of 32, got \(\)"),
        ({"widths": (64,) * 5}, "widths must be 1 to 4 positive multiples of 32"),
        ({"widths": (64, 48)}, r"widths must be 1 to 4 positive multiples of 32, got \(64, 48\)"),
        ({"rank": -1}, "rank"),
        ({"bases": "fixed"}, "bases must be one of"),
    ],
)
def test_what_is_no_progressive_network(options: dict[str, object], message: str) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        create_model("progressive", **options)
