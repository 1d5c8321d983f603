"""Dispatch, layouts and launch tables: what every op is built from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses import FakeTensorMode

from dislayers._runtime import native
from dislayers._runtime.backend import Implementation, choose
from dislayers._runtime.launch import Blocks, blocks_for
from dislayers._runtime.layout import dense_samples, flat_samples, image_planes, same_layout, strides_fit
from dislayers._runtime.library import choices, register

REFERENCE = Implementation("reference", lambda: None)


def test_the_first_that_can_run_is_chosen_and_the_others_say_why_not() -> None:
    native_cpu = Implementation("native", lambda: None, lambda device: "" if device == "cpu" else "no nvcc")
    assert choose([native_cpu, REFERENCE], "cpu").implementation is native_cpu
    assert choose([native_cpu, REFERENCE], "cpu").reason == ""
    assert choose([native_cpu, REFERENCE], "cuda").implementation is REFERENCE
    assert choose([native_cpu, REFERENCE], "cuda").reason == "native: no nvcc"
    with pytest.raises(ValueError, match="no implementation can run on cuda: native: no nvcc"):
        choose([native_cpu], "cuda")


def test_an_op_without_a_gradient_raises_instead_of_giving_zeros() -> None:
    double = register("dislayers_test::double(Tensor x) -> Tensor", lambda x: 2 * x, torch.empty_like)
    x = torch.ones(3, requires_grad=True)
    assert double(x).tolist() == [2, 2, 2]
    with pytest.raises(NotImplementedError, match="no gradient"):
        double(x).sum().backward()
    del choices["dislayers_test::double"]


def test_a_kernel_that_was_not_built_is_named() -> None:
    reason = native.missing_kernel("no_such_op")("cpu")
    assert reason == native.missing("cpu") or "no_such_op_cpu" in reason


@pytest.mark.parametrize(
    ("record", "setting", "expected"),
    [
        ({"cpu": "no C++ compiler", "cuda": "no nvcc in PATH"}, "auto", "not built: no C++ compiler"),
        ({"cpu": "built", "cuda": "built"}, "off", "DISLAYERS_NATIVE=off"),
        (None, "auto", "not built: dislayers was not installed (no build record)"),
    ],
)
def test_a_missing_extension_says_why(
    record: dict[str, str] | None, setting: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if record:
        (tmp_path / "_C.json").write_text(json.dumps(record))
    monkeypatch.setattr(native, "_RECORD", tmp_path / "_C.json")
    monkeypatch.setenv("DISLAYERS_NATIVE", setting)
    extension, missing = native._load()
    assert extension is None
    assert missing["cpu"] == expected


def test_an_extension_that_does_not_load_keeps_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> None:
        raise ImportError(f"{name}: undefined symbol: oops")

    (tmp_path / "_C.json").write_text('{"cpu": "built", "cuda": "built"}')
    monkeypatch.setattr(native, "_RECORD", tmp_path / "_C.json")
    monkeypatch.setattr(native.importlib, "import_module", fails)
    monkeypatch.delenv("DISLAYERS_NATIVE", raising=False)
    assert native._load()[1]["cpu"] == "dislayers._C does not load: dislayers._C: undefined symbol: oops"


@given(st.permutations(range(4)), st.lists(st.booleans(), min_size=4, max_size=4))
def test_samples_are_found_in_any_layout(order: list[int], cut: list[bool]) -> None:
    shape = (3, 2, 4, 5)
    stored = torch.arange(7**4).view(7, 7, 7, 7)
    sliced = stored[tuple(slice(0, shape[i] + (1 if cut[i] else 0)) for i in order)].contiguous()
    x = sliced.permute([order.index(i) for i in range(4)])[:3, :2, :4, :5]
    dense = dense_samples(x)
    assert torch.equal(dense, x)
    for flat, sample in zip(flat_samples(dense), x, strict=True):
        assert sorted(flat.tolist()) == sorted(sample.flatten().tolist())
    other = same_layout(torch.randn(shape), dense)
    pairs = zip(flat_samples(dense).flatten().tolist(), flat_samples(other).flatten().tolist(), strict=True)
    expected = dict(zip(dense.flatten().tolist(), other.flatten().tolist(), strict=True))
    assert dict(pairs) == expected


def test_planes_are_views_where_columns_lie_side_by_side() -> None:
    x = torch.zeros(2, 3, 6, 8)
    assert image_planes(x[..., 1:5, 2:7]).data_ptr() == x[..., 1:, 2:].data_ptr()
    assert image_planes(x.transpose(-1, -2)).stride(-1) == 1
    assert image_planes(x).shape == (6, 6, 8)


def test_a_launch_table_is_read_by_size() -> None:
    small, large = Blocks(1024, 4), Blocks(4096, 8)
    table = {"default": [(100, small), (1000, large)]}
    device = torch.device("cpu")
    assert [blocks_for(table, device, n) for n in (1, 100, 101, 1000, 10**9)] == [small, small, large, large, large]
    assert blocks_for({**table, "cpu": [(10, small)]}, device, 500) == small


def test_the_environment_lists_every_op() -> None:
    done = subprocess.run([sys.executable, "-m", "dislayers"], capture_output=True, text=True, check=True)
    for words in ("torch", "native cpu", "dislayers::erode", "dislosses::normalized_focal", "cuda: "):
        assert words in done.stdout


def test_a_kernel_for_the_cpu_is_given_copies_of_what_lies_on_a_gpu() -> None:
    devices: list[str] = []

    def run(x: Tensor, times: int) -> tuple[Tensor, Tensor]:
        devices.append(x.device.type)
        return x * times, x

    implementation = native.for_cpu("dilate", run)
    for device in ("cpu", "cuda"):
        with FakeTensorMode():
            outputs = implementation.run(torch.empty(3, 4, device=device), 2)
        assert [x.device.type for x in outputs] == [device, device]
    assert devices == ["cpu", "cpu"]
    assert implementation.missing("cuda") == implementation.missing("cpu")


def test_maps_in_whose_tiles_offsets_have_32_bits() -> None:
    fits, too_large = (torch.empty(2, 3, side, 4096, device="meta") for side in (4096, 4097))
    assert strides_fit(fits, fits[:, :, 1:], fits.to(memory_format=torch.channels_last))
    assert not strides_fit(fits, too_large)
    assert not strides_fit(too_large[:, :, 1:])
    assert strides_fit(too_large.contiguous(memory_format=torch.channels_last))
