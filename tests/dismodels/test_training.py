"""A run learns, can be killed and taken up, can be shared among processes, and says what is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file

from dismodels import create_model
from dismodels.train import main, parse
from dismodels.training.draws import BatchSampler, Draw, DrawnPairs
from dismodels.training.isnet import GTEncoderTask, ISNetSettings, SegmentationTask, share_side_convolutions
from dismodels.training.journal import Journal
from dismodels.training.loop import Standing, freeze_batch_norm
from dismodels.training.strip import picture_strip

TINY = [
    *("--size", "32", "--width", "0.05", "--batch-size", "4", "--synthetic-pairs", "16"),
    *("--steps", "6", "--validate-every", "2", "--log-every", "1"),
    *("--gt-encoder.steps", "4", "--gt-encoder.validate-every", "2", "--device", "cpu", "--workers", "0"),
]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def command(output: Path, *options: str) -> list[str]:
    return ["isnet", *TINY, "--output", str(output), *options]


def log(output: Path, key: str, stage: str = "segmentation") -> list[float]:
    entries = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return [entry[key] for entry in entries if entry["stage"] == stage and key in entry]


def weights(output: Path, stage: str = "segmentation") -> bytes:
    (state,) = (output / stage).glob("step-*")
    return (state / "weights.safetensors").read_bytes()


@given(
    length=st.integers(1, 30),
    part=st.integers(1, 4),
    processes=st.integers(1, 3),
    steps=st.integers(1, 20),
    start=st.integers(0, 20),
    seed=st.integers(0, 5),
)
def test_batches_are_a_function_of_seed_and_step(
    length: int, part: int, processes: int, steps: int, start: int, seed: int
) -> None:
    size = part * processes
    whole = list(BatchSampler(length, size, 0, steps, seed))
    assert [len(batch) for batch in whole] == [size] * steps
    drawn = [draw.index for batch in whole for draw in batch]
    for epoch in range(len(drawn) // length):
        assert sorted(drawn[epoch * length : (epoch + 1) * length]) == list(range(length))
    assert list(BatchSampler(length, size, start, steps, seed)) == whole[start:]
    shared = [list(BatchSampler(length, size, 0, steps, seed, True, p, processes)) for p in range(processes)]
    assert [[draw for part in parts for draw in part] for parts in zip(*shared, strict=True)] == whole


def test_flips() -> None:
    draws = [draw for batch in BatchSampler(1000, 10, 0, 100, 0) for draw in batch]
    assert 400 < sum(draw.flipped for draw in draws) < 600
    assert not any(draw.flipped for batch in BatchSampler(1000, 10, 0, 100, 0, flip=False) for draw in batch)
    image, mask = torch.arange(12, dtype=torch.uint8).view(3, 2, 2), torch.arange(4, dtype=torch.uint8).view(1, 2, 2)
    flipped = DrawnPairs([(image, mask)])[Draw(0, True)]
    assert flipped[0][0].tolist() == [[1, 0], [3, 2]]
    assert flipped[1][0].tolist() == [[1, 0], [3, 2]]


def test_standing_judges_by_max_f_then_mae() -> None:
    standing = Standing()
    verdicts = [standing.judge(*values) for values in ((0.5, 0.3), (0.5, 0.2), (0.5, 0.25), (0.4, 0.1), (0.6, 0.9))]
    assert verdicts == [True, True, False, False, True]
    assert (standing.best_max_f, standing.best_mae, standing.without_gain) == (0.6, 0.9, 0)


def losses_of(distance: str, stages: int, guided: bool = True) -> dict[str, float]:
    torch.manual_seed(0)
    model, guide = create_model("isnet", width=0.05), create_model("isnet_gt_encoder", width=0.05)
    task = SegmentationTask(model, guide if guided else None, distance, stages)
    image = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    mask = torch.randint(0, 2, (4, 1, 64, 64), dtype=torch.uint8) * 255
    terms = task.losses(model, task.inputs(image, mask), mask / 255)
    torch.stack(list(terms.values())).sum().backward()
    assert all(parameter.grad is None for parameter in guide.parameters())
    return {name: value.item() for name, value in terms.items()}


def test_table_3_by_options() -> None:
    rows = {(d, s): losses_of(d, s) for d in ("l2", "l1", "kl") for s in (1, 6)}
    assert len({round(terms["feature_sync"], 6) for terms in rows.values()}) == len(rows)
    assert all(rows[d, 1]["feature_sync"] < rows[d, 6]["feature_sync"] for d in ("l2", "l1", "kl"))
    assert losses_of("l2", 6, guided=False).keys() == {"bce_finest", "bce_others"}


def test_guide_takes_masks_both_ways() -> None:
    mask = torch.tensor([[0, 255], [255, 0]], dtype=torch.uint8)[None, None]
    for channels, expected in ((1, [0.0, 1.0]), (3, [-0.5, 0.5])):
        task = GTEncoderTask(create_model("isnet_gt_encoder", width=0.05, in_channels=channels))
        inputs = task.inputs(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), mask)
        assert inputs.shape == (1, channels, 2, 2)
        assert inputs[0, -1, 0].tolist() == expected


def test_shared_side_convolutions_are_the_guides_and_stay() -> None:
    model, guide = create_model("isnet", width=0.05), create_model("isnet_gt_encoder", width=0.05)
    share_side_convolutions(model, guide)
    torch.testing.assert_close(model.state_dict()["sides.2.weight"], guide.state_dict()["sides.2.weight"])
    assert not any(parameter.requires_grad for parameter in model.get_submodule("sides").parameters())


def test_frozen_batch_norm_stays() -> None:
    model = create_model("isnet", width=0.05).train()
    freeze_batch_norm(model)
    before = {name: value.clone() for name, value in model.named_buffers()}
    model(torch.randn(2, 3, 64, 64))
    for name, value in model.named_buffers():
        torch.testing.assert_close(value, before[name])


def test_a_run_learns_and_leaves_what_it_promises(tmp_path: Path) -> None:
    output = tmp_path / "run"
    main(command(output, "--steps", "60", "--validate-every", "60", "--gt-encoder.steps", "40"))
    loss = log(output, "loss")
    assert np.mean(loss[-10:]) < np.mean(loss[:10])
    assert np.mean(log(output, "loss", "gt_encoder")[-5:]) < log(output, "loss", "gt_encoder")[0]
    assert len(log(output, "max_f")) == 2
    assert (output / "segmentation" / "best.safetensors").is_file()
    assert Image.open(output / "segmentation" / "strip.png").size[1] == 3 * 32
    assert list((output / "tensorboard" / "segmentation").glob("events*"))
    assert not list(output.rglob("*.partial"))


def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    options = ("--steps", "12", "--seed", "3")
    main(command(tmp_path / "whole", *options))
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "dismodels.train", *command(killed, *options)], stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list((killed / "segmentation").glob("step-00000004")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert json.loads((killed / "log.jsonl").read_text().splitlines()[-2])["step"] < 12
    main(["isnet", "--output", str(killed), "--resume"])
    assert weights(killed) == weights(tmp_path / "whole")
    assert (killed / "log.jsonl").read_text() == (tmp_path / "whole" / "log.jsonl").read_text()


def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    main(command(tmp_path / "one", "--freeze-batch-norm"))
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "dismodels.train"]
    arguments = command(tmp_path / "two", "--freeze-batch-norm")
    subprocess.run([*launch, *arguments], check=True, env=ENVIRONMENT, capture_output=True, timeout=300)
    for key in ("loss", "feature_sync", "max_f", "mae"):
        np.testing.assert_allclose(log(tmp_path / "two", key), log(tmp_path / "one", key), rtol=2e-3)
    np.testing.assert_allclose(log(tmp_path / "two", "loss")[0], log(tmp_path / "one", "loss")[0], rtol=1e-6)


def test_patience_and_stop(tmp_path: Path) -> None:
    main(command(tmp_path / "run", "--gt-encoder.stop-at", "0.0", "--patience", "1", "--steps", "80"))
    assert len(log(tmp_path / "run", "max_f", "gt_encoder")) == 1
    max_f = log(tmp_path / "run", "max_f")
    assert len(max_f) < 41
    assert max_f[-1] <= max(max_f[:-1])


def test_a_finished_run_can_go_on_for_longer(tmp_path: Path) -> None:
    main(command(tmp_path / "whole", "--steps", "8"))
    main(command(tmp_path / "longer", "--steps", "4"))
    main(["isnet", "--output", str(tmp_path / "longer"), "--resume", "--steps", "8"])
    assert weights(tmp_path / "longer") == weights(tmp_path / "whole")


def failing(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_info:
        main(list(arguments))
    assert exit_info.value.code not in (0, None)
    return str(exit_info.value.code) + capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--width", "0"), "--width must be at least 0.001, got 0.0"),
        (("--supervised-stages", "7"), r"--supervised-stages must be in [1, 6], got 7"),
        (("--supervision", "none", "--shared-side-convolutions"), "needs a GT encoder"),
        (("--images", "a"), "--images and --masks belong together"),
        (("--validation", "v"), "--validation needs --data"),
        (("--gt-encoder.steps", "0"), "--gt-encoder.steps must be at least 1, got 0"),
        (("--sync-batch-norm",), "--sync-batch-norm needs GPUs"),
        (("--data", "no/such/folder"), "no/such/folder"),
        (("--gt-encoder.weights", "no.safetensors"), "no.safetensors: no such file"),
        (("--resume",), "no run to resume here"),
        (("--learning-rat", "1"), "--learning-rat"),
        (("--supervision", "l3"), "l3"),
    ],
)
def test_bad_options_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert message in failing(capsys, *command(tmp_path / "run", *options))
    assert not (tmp_path / "run").exists()


def test_unknown_system(capsys: pytest.CaptureFixture[str]) -> None:
    assert "SYSTEM is one of: isnet, progressive, u2net" in failing(capsys, "isnett")


def test_bad_data_are_listed_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("im", "gt"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c", "d"):
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), np.uint8)).save(tmp_path / "set" / "im" / f"{name}.png")
        mask = np.zeros((40, 30), np.uint8)
        mask[10:20] = 255
        Image.fromarray(mask).save(tmp_path / "set" / "gt" / f"{name}.png")
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "set" / "gt" / "b.png")
    Image.fromarray(rng.integers(0, 256, (40, 30), np.uint8)).save(tmp_path / "set" / "gt" / "d.png")
    (tmp_path / "set" / "im" / "a.png").write_bytes((tmp_path / "set" / "im" / "a.png").read_bytes()[:200])
    options = ("--data", str(tmp_path / "set"), "--cache", str(tmp_path / "cache"))
    message = failing(capsys, *command(tmp_path / "run", *options))
    assert all(str(tmp_path / "set" / name) in message for name in ("im/a.png", "gt/b.png", "gt/d.png"))
    assert not list((tmp_path / "cache").rglob("*.npy"))
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_overwritten_nor_resumed_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "run"
    main(command(output))
    before = weights(output)
    assert "is not empty; --resume goes on" in failing(capsys, *command(output))
    message = failing(capsys, "isnet", "--output", str(output), "--resume", "--seed", "7")
    assert "--seed: 7 now, 0 in the run" in message
    assert "holds a run of isnet, not of u2net" in failing(capsys, "u2net", "--output", str(output), "--resume")
    assert weights(output) == before


def test_nan_ends_the_run_and_spoils_no_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = failing(capsys, *command(tmp_path / "loss", "--learning-rate", "1e30", "--log-every", "2"))
    assert "gt_encoder: at or shortly before step 2 the loss is not finite" in message
    options = ("--learning-rate", "1e30", "--validate-every", "1", "--gt-encoder.validate-every", "1")
    message = failing(capsys, *command(tmp_path / "answer", *options))
    assert "gt_encoder: at or shortly before step 1 the model's answer is not finite" in message
    for file in tmp_path.rglob("*.safetensors"):
        assert all(tensor.isfinite().all() for tensor in load_file(file).values())


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on file sizes stands in for a full disk")
@pytest.mark.parametrize("room", [100_000, 450_000])
def test_full_disk_ends_the_run_with_whole_files(tmp_path: Path, room: int) -> None:
    import resource

    result = subprocess.run(
        [sys.executable, "-m", "dismodels.train", *command(tmp_path / "run", "--width", "0.1")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert result.returncode == 1
    assert "could not be written" in result.stderr
    assert "Traceback" not in result.stderr
    assert str(tmp_path / "run") in result.stderr
    assert not list((tmp_path / "run").rglob("*.partial"))
    for file in (tmp_path / "run").rglob("*.safetensors"):
        assert load_file(file)


def test_the_journal_names_what_it_cannot_write(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal, journal.stage("gt_encoder", 0, 1):
        with pytest.raises(OSError, match=r"strip\.png: cannot be written"):
            journal.strip("gt_encoder", 0, np.zeros((2, 2, 3), np.uint8))
        (tmp_path / "log.jsonl").mkdir()
        with pytest.raises(OSError, match=r"log\.jsonl: cannot be written"):
            journal.scalars("gt_encoder", 0, {"loss": 1.0})


def test_presets() -> None:
    assert parse("isnet", ["--data", "x"]).size == 1024
    assert parse("isnet", []).size == ISNetSettings().small().size
    assert parse("isnet", ["--size", "96"]).size == 96
    assert parse("isnet", ["--data", "x", "--preset", "small"]).width == ISNetSettings().small().width
    assert parse("isnet", ["--preset", "paper"]).size == 1024
    assert parse("isnet", ["--preset=paper"]).size == 1024
    assert parse("u2net", ["--data", "x"]).size == 320
    paper = parse("isnet", ["--data", "x"])
    assert (paper.batch_size, paper.learning_rate, paper.steps, paper.validate_every) == (8, 1e-3, 100_000, 1000)


def test_strip_shows_image_truth_prediction() -> None:
    image = torch.full((3, 8, 8), 10, dtype=torch.uint8)
    sample = image, torch.full((1, 8, 8), 255, dtype=torch.uint8), torch.full((1, 8, 8), 0.5)
    strip = picture_strip([sample, sample])
    assert strip.shape == (24, 16, 3)
    assert [strip[row, 0, 0] for row in (0, 8, 16)] == [10, 255, 128]
    with pytest.raises(ValueError, match="at least one triple"):
        picture_strip([])
