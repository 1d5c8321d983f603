"""Official weights load by their own names and give the official outputs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from dismodels import CheckpointError, create_model, load_checkpoint, load_official_state_dict
from dismodels.checkpoints import load_model
from tests.dismodels.filled_weights import blob, uniform, weight

GOLDEN = Path(__file__).parent / "golden"


def official_state(name: str, seed: int = 1, gain: float = 1.2) -> dict[str, torch.Tensor]:
    shapes = json.loads(str(np.load(GOLDEN / f"{name}.npz")["keys"]))
    return {key: torch.from_numpy(np.asarray(weight(key, tuple(shape), seed, gain))) for key, shape in shapes.items()}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("isnet", 44_046_790), ("isnet_gt_encoder", 6_877_734), ("u2net", 44_009_869), ("u2net_small", 1_131_181)],
)
def test_parameters_are_as_many_as_published(name: str, parameters: int) -> None:
    model = create_model(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("name", ["isnet", "isnet_gt_encoder"])
def test_outputs_and_features_are_official(name: str) -> None:
    golden = np.load(GOLDEN / f"{name}.npz")
    seed, gain = int(golden["seed"]), float(golden["gain"])
    model = create_model(name).eval()
    load_official_state_dict(model, official_state(name, seed, gain))
    if name == "isnet":
        pixels = np.float32(-0.5) + uniform("input:image", (1, 3, 256, 256), seed)
    else:
        pixels = blob(256, seed).astype(np.float32)[None, None]
    image = torch.from_numpy(pixels)
    with torch.no_grad():
        outputs = model(image)
        answer = model.predict(image)
    maps = {
        f"d{i}": F.interpolate(logits, size=(256, 256), mode="bilinear").sigmoid()
        for i, logits in enumerate(outputs.logits, start=1)
    }
    maps |= {f"f{i}": feature for i, feature in enumerate(outputs.features, start=1)}
    assert len(maps) == 12
    for key, value in maps.items():
        assert tuple(value.shape) == tuple(golden[f"{key}_shape"])
        sampled = value.numpy().ravel()[:: int(golden[f"{key}_stride"])]
        np.testing.assert_allclose(sampled, golden[key], rtol=0, atol=float(golden[f"{key}_tolerance"]), err_msg=key)
    torch.testing.assert_close(answer, maps["d1"])


@pytest.mark.parametrize("name", ["u2net", "u2net_small"])
def test_official_names_cover_every_entry(name: str) -> None:
    model, state = create_model(name), official_state(name)
    load_official_state_dict(model, {f"module.{key}": value for key, value in state.items()})
    own = model.state_dict()
    torch.testing.assert_close(own["encoder.0.input.conv.weight"], state["stage1.rebnconvin.conv_s1.weight"])
    torch.testing.assert_close(own["decoder.4.decoder.2.norm.bias"], state["stage5d.rebnconv3d.bn_s1.bias"])
    torch.testing.assert_close(own["fuse.weight"], state["outconv.weight"])


@pytest.mark.parametrize("name", ["isnet", "isnet_gt_encoder", "u2net_small"])
def test_official_file_is_recognised_by_its_keys(tmp_path: Path, name: str) -> None:
    state = official_state(name)
    torch.save({"state_dict": state}, tmp_path / "official.pth")
    model = create_model(name)
    load_checkpoint(model, tmp_path / "official.pth")
    torch.testing.assert_close(model.state_dict()["sides.3.weight"], state["side4.weight"])
    save_file(state, tmp_path / "official.safetensors")
    again = load_model(name, tmp_path / "official.safetensors")
    torch.testing.assert_close(again.state_dict(), model.state_dict())


def test_wrong_official_weights_are_reported_and_not_loaded() -> None:
    model = create_model("u2net_small")
    before = model.state_dict()["sides.0.weight"].clone()
    with pytest.raises(CheckpointError, match="of another shape"):
        load_official_state_dict(model, official_state("u2net"))
    state = official_state("u2net_small")
    del state["outconv.weight"], state["outconv.bias"]
    with pytest.raises(CheckpointError, match=r"2 missing: fuse\.weight, fuse\.bias"):
        load_official_state_dict(model, state)
    torch.testing.assert_close(model.state_dict()["sides.0.weight"], before)
