"""The recipe of the progressive network: groups and schedule of its optimiser, supervision, a run."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dismodels import create_model
from dismodels.train import main, parse
from dismodels.training.optimizers import adamw, poly
from dismodels.training.progressive import ProgressiveSettings, ProgressiveTask

TINY = [
    *("progressive", "--backbone", "tiny", "--width", "0.1", "--size", "64", "--batch-size", "2"),
    *("--synthetic-pairs", "8", "--steps", "4", "--validate-every", "2", "--log-every", "1", "--warm-up", "2"),
    *("--device", "cpu", "--workers", "0"),
]


def test_every_parameter_is_in_the_group_that_it_belongs_to() -> None:
    model = create_model("progressive", backbone="tiny", widths=(32, 32))
    optimizer = adamw(model, 1e-3, 0.01, model.get_submodule("decoder"), times=10)
    found = {p: (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]}
    assert len(found) == len(list(model.parameters()))
    norms = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)
    for name, module in model.named_modules():
        for parameter in module.parameters(recurse=False):
            rate = 1e-2 if name.startswith("decoder") else 1e-3
            assert found[parameter] == (rate, 0.0 if isinstance(module, norms) else 0.01), name


def test_what_is_frozen_is_left_out() -> None:
    model = create_model("progressive", backbone="tiny", widths=(32,))
    model.get_submodule("backbone").requires_grad_(False)
    optimizer = adamw(model, 1e-3, 0.01, model.get_submodule("decoder"), times=10)
    moved = {p for group in optimizer.param_groups for p in group["params"]}
    assert moved == set(model.get_submodule("decoder").parameters())


def test_poly_rises_and_falls_in_straight_lines() -> None:
    factor = poly(100, warm_up=10)
    assert factor(0) == pytest.approx(1e-6)
    assert factor(5) == pytest.approx(0.95 * (0.5 + 0.5e-6))
    assert [factor(step) for step in (10, 50, 99, 100, 120)] == pytest.approx([0.9, 0.5, 0.01, 0, 0])
    assert poly(10, warm_up=0)(0) == 1
    assert poly(10, warm_up=0, power=2)(5) == pytest.approx(0.25)


@pytest.mark.parametrize(("supervision", "terms"), [("multi-scale", 2), ("single-scale", 1)])
def test_supervision_chooses_the_maps(supervision: str, terms: int) -> None:
    model = create_model("progressive", backbone="tiny", widths=(32, 32))
    task = ProgressiveTask(model, supervision)  # type: ignore[arg-type]
    mask = torch.rand(1, 1, 64, 64).round()
    losses = task.losses(model, torch.randn(1, 3, 64, 64), mask)
    assert len(losses) == terms
    sum(losses.values()).backward()  # type: ignore[union-attr]
    coarsest = list(model.get_submodule("decoder.heads.1").parameters())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in coarsest)


@pytest.mark.parametrize("resized", ["maps", "masks"])
def test_losses_are_those_of_the_chosen_sizes(resized: str) -> None:
    model = create_model("progressive", backbone="tiny", widths=(32, 32)).eval()
    image, mask = torch.randn(2, 3, 64, 64), torch.rand(2, 1, 64, 64).round()
    with torch.no_grad():
        losses = ProgressiveTask(model, iou_weight=0.5, resized=resized).losses(model, image, mask)  # type: ignore[arg-type]
        expected = []
        for logits in model(image).logits:
            truth = mask
            if resized == "maps":
                logits = F.interpolate(logits, mask.shape[-2:], mode="bilinear")
            else:
                truth = F.avg_pool2d(mask, mask.shape[-1] // logits.shape[-1])
            p = logits.sigmoid()
            shared = (p * truth).sum((1, 2, 3))
            iou = ((shared + 1) / (p.sum((1, 2, 3)) + truth.sum((1, 2, 3)) - shared + 1)).mean()
            expected.append(F.binary_cross_entropy_with_logits(logits, truth) + 0.5 * (1 - iou))
    assert losses["bce_iou_finest"].item() == pytest.approx(expected[0].item(), rel=1e-5)
    assert losses["bce_iou_others"].item() == pytest.approx(sum(expected[1:]).item(), rel=1e-5)


@pytest.mark.parametrize("decoder", ["A", "single"])
def test_a_run_learns_with_a_learning_rate_that_moves(tmp_path: Path, decoder: str) -> None:
    main([*TINY, "--decoder", decoder, "--output", str(tmp_path)])
    assert (tmp_path / "segmentation" / "best.safetensors").is_file()
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert sum("loss" in entry for entry in entries) == 4


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="--warm-up must be at least 0, got -1"):
        ProgressiveSettings(warm_up=-1).check()
    with pytest.raises(ValueError, match="--weight-decay must be at least 0, got -1"):
        ProgressiveSettings(weight_decay=-1).check()
    with pytest.raises(ValueError, match="--iou-weight must be at least 0, got -1"):
        ProgressiveSettings(iou_weight=-1).check()
    with pytest.raises(ValueError, match=r"--backbone-weights nowhere\.pth: no such file"):
        ProgressiveSettings(backbone_weights=Path("nowhere.pth")).check()


def test_presets() -> None:
    assert parse("progressive", []).size == ProgressiveSettings().small().size
    paper = parse("progressive", ["--data", "x"])
    assert isinstance(paper, ProgressiveSettings)
    assert (paper.backbone, paper.learning_rate, paper.width) == ("base", 6e-5, 1.0)
