"""MSCAN has the official names, gives the official maps, takes any size, leaves out branches in training."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dismodels import CheckpointError, create_model, load_checkpoint, load_official_state_dict, save_checkpoint
from dismodels.backbones.mscan import MSCAN, official_name
from dismodels.checkpoints import load_model
from tests.dismodels.filled_weights import uniform, weight

GOLDEN = Path(__file__).parent / "golden"
PARAMETERS = {"tiny": 3_903_584, "small": 13_450_176, "base": 26_277_824, "large": 44_636_864}
LAYOUTS = [torch.contiguous_format, torch.channels_last]


def official_shapes(size: str) -> dict[str, list[int]]:
    return json.loads(str(np.load(GOLDEN / f"mscan_{size}.npz")["keys"]))


@cache
def official_state(size: str, seed: int = 13, gain: float = 0.7) -> dict[str, Tensor]:
    filled = {key: weight(key, tuple(shape), seed, gain) for key, shape in official_shapes(size).items()}
    return {key: torch.from_numpy(np.asarray(values)) for key, values in filled.items()}


def small(**options: object) -> MSCAN:
    """Four stages of a few channels whose branches count."""
    model = MSCAN((4, 6, 8, 10), (1, 2, 1, 1), (2, 2, 1, 1), **options)
    for module in model.modules():
        if hasattr(module, "scale"):
            torch.nn.init.constant_(module.scale, 0.3)
    return model


@pytest.mark.parametrize("size", PARAMETERS)
def test_official_names_cover_every_entry(size: str) -> None:
    shapes = official_shapes(size)
    with torch.device("meta"):
        model = create_model(f"mscan_{size}")
    own = {key: list(value.shape) for key, value in model.state_dict().items()}
    assert {official_name(key): shape for key, shape in shapes.items()} == own
    assert {official_name(f"backbone.{key}"): shape for key, shape in shapes.items()} == own
    assert [official_name(key) for key in own] == list(own)
    assert len(shapes) == len(own)
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[size]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_maps_are_official(monkeypatch: pytest.MonkeyPatch, layout: torch.memory_format, compiled: bool) -> None:
    if not compiled:
        monkeypatch.setattr("dislayers.multiscale_conv_attention.native._takes", lambda *_: False)
    golden = np.load(GOLDEN / "mscan_tiny.npz")
    seed = int(golden["seed"])
    model = create_model("mscan_tiny").eval()
    load_official_state_dict(model, official_state("tiny", seed, float(golden["gain"])))
    image = torch.from_numpy(np.float32(-0.5) + uniform("input:image", (1, 3, 256, 256), seed))
    with torch.no_grad():
        maps = model.to(memory_format=layout)(image.contiguous(memory_format=layout))
    assert len(maps) == 4
    for i, value in enumerate(maps, start=1):
        key = f"stage{i}"
        assert tuple(value.shape) == tuple(golden[f"{key}_shape"])
        assert value.is_contiguous(memory_format=layout)
        sampled = value.contiguous().numpy().ravel()[:: int(golden[f"{key}_stride"])]
        np.testing.assert_allclose(sampled, golden[key], rtol=0, atol=float(golden[f"{key}_tolerance"]), err_msg=key)


@pytest.mark.parametrize("prefix", ["", "backbone.", "module.backbone."])
def test_official_files_load(tmp_path: Path, prefix: str) -> None:
    state = official_state("tiny")
    torch.save({"state_dict": {prefix + key: value for key, value in state.items()}}, tmp_path / "official.pth")
    model = create_model("mscan_tiny")
    load_checkpoint(model, tmp_path / "official.pth")
    own = model.state_dict()
    gate = "stages.2.blocks.4.attention.body.gate"
    unit = "block3.4.attn.spatial_gating_unit"
    for here, official in {
        "stages.0.embed.3.weight": "patch_embed1.proj.3.weight",
        "stages.3.embed.1.running_var": "patch_embed4.norm.running_var",
        "stages.1.norm.bias": "norm2.bias",
        "stages.1.blocks.2.mlp.scale": "block2.2.layer_scale_2",
        f"{gate}.depthwise.bias": f"{unit}.conv0.bias",
        f"{gate}.rows.0.weight": f"{unit}.conv0_1.weight",
        f"{gate}.columns.2.weight": f"{unit}.conv2_2.weight",
        f"{gate}.pointwise.weight": f"{unit}.conv3.weight",
    }.items():
        torch.testing.assert_close(own[here], state[official], rtol=0, atol=0)


def test_heads_of_official_files_are_left_out(tmp_path: Path) -> None:
    state = {official: torch.zeros_like(value) for official, value in official_state("tiny").items()}
    heads = {"head.weight": torch.zeros(1000, 256), "decode_head.conv_seg.bias": torch.zeros(150)}
    torch.save({"state_dict": state | heads}, tmp_path / "imagenet.pth")
    model = create_model("mscan_tiny")
    load_checkpoint(model, tmp_path / "imagenet.pth")
    assert all((value == 0).all() for value in model.state_dict().values())


def test_weights_of_another_size_are_reported() -> None:
    with pytest.raises(CheckpointError, match=r"does not fit MSCAN: .* of another shape"):
        load_official_state_dict(create_model("mscan_tiny"), official_state("small"))


def test_a_file_brings_the_model_back(tmp_path: Path) -> None:
    model = create_model("mscan_tiny", in_channels=2, drop_path=0.3).eval()
    save_checkpoint(model, tmp_path / "w.safetensors")
    again = load_model("mscan_tiny", tmp_path / "w.safetensors")
    assert again.options == {"in_channels": 2, "drop_path": 0.3}
    torch.testing.assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    image = torch.randn(1, 2, 40, 33)
    with torch.no_grad():
        torch.testing.assert_close(again(image), model(image), rtol=0, atol=0)


@settings(max_examples=12, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), channels=st.integers(1, 5), batch=st.integers(0, 2))
def test_any_size_and_channels(height: int, width: int, channels: int, batch: int) -> None:
    with torch.no_grad():
        maps = small(in_channels=channels).eval()(torch.randn(batch, channels, height, width))
    assert [tuple(x.shape) for x in maps] == [
        (batch, wide, -(-height // scale), -(-width // scale)) for wide, scale in ((4, 4), (6, 8), (8, 16), (10, 32))
    ]
    assert all(x.isfinite().all() for x in maps)


def test_the_next_stage_sees_the_normalised_map() -> None:
    model = small().eval()
    with torch.no_grad():
        maps = model(torch.randn(1, 3, 64, 64))
        torch.testing.assert_close(model.stages[1](maps[0]), maps[1])
    torch.testing.assert_close(maps[0].mean(1), torch.zeros(1, 16, 16), atol=1e-5, rtol=0)


def test_samples_of_a_batch_do_not_see_each_other() -> None:
    model, images = small().eval(), torch.randn(3, 3, 45, 38)
    with torch.no_grad():
        together = model(images)
        alone = [torch.cat(maps) for maps in zip(*(model(image[None]) for image in images), strict=True)]
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=0)


def test_gradients_reach_every_parameter_and_the_image() -> None:
    model, image = small(), torch.randn(2, 3, 70, 64, requires_grad=True)
    sum((x.sin() * torch.randn_like(x)).sum() for x in model(image)).backward()
    without = [name for name, parameter in model.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert without == []
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradient_is_the_slope(layout: torch.memory_format) -> None:
    model, direction = small().double().eval().to(memory_format=layout), torch.randn(1, 3, 37, 40).double()
    image = torch.randn_like(direction).contiguous(memory_format=layout).requires_grad_()

    def value(x: Tensor) -> Tensor:
        return sum(x.sin().sum() for x in model(x))

    (gradient,) = torch.autograd.grad(value(image), image)
    with torch.no_grad():
        slope = (value(image + 1e-6 * direction) - value(image - 1e-6 * direction)) / 2e-6
    torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-5, atol=0)


def test_branches_are_left_out_as_often_as_said() -> None:
    branch = small(drop_path=0.25).stages[3].blocks[0].mlp
    assert branch.drop_path == 0.25
    branch.norm = branch.body = torch.nn.Identity()
    with torch.no_grad():
        shares = (branch(torch.ones(4000, 10, 2, 1)) - 1) / 0.3
    # A sample has the branch or has it not, as a whole.
    assert shares.mul(0.75).round(decimals=4).unique().tolist() == [0, 1]
    assert shares.flatten(1).std(1).max().item() < 1e-6
    assert shares.mean().item() == pytest.approx(1, abs=4 * (0.25 / 0.75 / 4000) ** 0.5)


def test_branches_are_left_out_more_often_from_block_to_block_and_never_in_evaluation() -> None:
    model, image = small(drop_path=0.8), torch.randn(2, 3, 40, 40)
    drops = [branch.drop_path for branch in model.modules() if hasattr(branch, "drop_path")]
    assert drops == pytest.approx([0, 0, 0.2, 0.2, 0.4, 0.4, 0.6, 0.6, 0.8, 0.8])
    assert max(b.drop_path for b in create_model("mscan_large").modules() if hasattr(b, "drop_path")) == pytest.approx(
        0.3
    )
    same = small(drop_path=0.0)
    same.load_state_dict(model.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(image), same.eval()(image), rtol=0, atol=0)


def test_initialisation() -> None:
    block = create_model("mscan_tiny").stages[0].blocks[0]
    assert block.mlp.scale.unique().tolist() == pytest.approx([0.01])
    assert block.mlp.body.mix.weight.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.1)
    assert block.mlp.body.expand.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.1)
    assert not block.mlp.body.expand.bias.any()


@pytest.mark.parametrize("training", [False, True])
def test_compiles_whole(training: bool) -> None:
    model = small(drop_path=0.0).train(training)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    image = torch.randn(2, 3, 40, 33)
    for found, expected in zip(compiled(image), model(image), strict=True):
        torch.testing.assert_close(found, expected)


def test_what_is_no_mscan() -> None:
    with pytest.raises(ValueError, match=r"drop_path must be in \[0, 1\), got 1"):
        create_model("mscan_tiny", drop_path=1)
    with pytest.raises(
        ValueError, match="channels, depths and mlp_ratios must have equally many entries, got 2, 1 and 4"
    ):
        MSCAN((4, 6), (1,))
    with pytest.raises(TypeError, match="mscan_large has no option depth; it has: mlp_ratios, in_channels, drop_path"):
        create_model("mscan_large", depth=3)
