"""Launch tables take what was tuned before the defaults, and tuning finds the fastest rows."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from dislayers._runtime import launch
from dislayers._runtime.launch import ENDLESS, Blocks, blocks_for, launch_table, triton_missing
from dislayers._runtime.search import Tuning, find_tunings, only, put_rows, search

CPU = torch.device("cpu")
DEFAULT = Blocks(1024, 4)


class Tile(NamedTuple):
    height: int
    width: int


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of a package whose tables were not tuned yet."""
    (tmp_path / "blocks.json").write_text("{}")
    monkeypatch.setattr(launch, "files", lambda package: tmp_path)
    monkeypatch.setattr(launch, "tuned_rows", launch.tuned_rows.__wrapped__)
    monkeypatch.setattr(launch, "tables", {})
    return tmp_path


def test_what_was_tuned_comes_before_the_defaults(package: Path) -> None:
    tuned = Blocks(64, 1)
    put_rows(package / "blocks.json", {("package.op", "blocks", "cpu"): [(ENDLESS, tuned)]})
    table = launch_table("package.op", "blocks", default=[(ENDLESS, DEFAULT)], cpu=[(ENDLESS, Blocks(2, 2))])
    assert blocks_for(table, CPU, 10) == tuned
    assert table["default"] == [(ENDLESS, DEFAULT)]


def test_an_architecture_that_was_not_tuned_has_the_default(package: Path) -> None:
    put_rows(package / "blocks.json", {("package.op", "blocks", "sm_90"): [(ENDLESS, Blocks(64, 1))]})
    table = launch_table("package.op", "blocks", default=[(ENDLESS, DEFAULT)])
    assert blocks_for(table, CPU, 10) == DEFAULT


def test_other_tables_and_ops_keep_their_own(package: Path) -> None:
    rows = {("package.op", "forward", "cpu"): [(ENDLESS, Blocks(64, 1))]}
    put_rows(package / "blocks.json", rows)
    for op, name in (("package.op", "backward"), ("package.other", "forward")):
        assert blocks_for(launch_table(op, name, default=[(ENDLESS, DEFAULT)]), CPU, 10) == DEFAULT


def test_rows_survive_their_file(package: Path) -> None:
    """Named tuples of any fields, with their limits; what the file held before stays."""
    path, rows = package / "blocks.json", [(100, Tile(1, 2)), (ENDLESS, Tile(3, 4))]
    put_rows(path, {("package.op", "tiles", "sm_80"): rows[1:]})
    put_rows(path, {("package.op", "tiles", "sm_90"): rows})
    table = launch_table("package.op", "tiles", default=[(ENDLESS, Tile(5, 6))])
    assert table == {"default": [(ENDLESS, Tile(5, 6))], "sm_80": rows[1:], "sm_90": rows}
    assert [path.name for path in package.iterdir()] == ["blocks.json"]


@pytest.mark.parametrize("text", ["[]", "{"])
def test_a_file_of_something_else_is_refused_and_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"other.json must be a JSON file of rows"):
        put_rows(path, {})
    assert path.read_text() == text


def test_one_row_is_in_force_until_it_is_left() -> None:
    table = launch_table("package.op", "blocks", default=[(ENDLESS, DEFAULT)], sm_90=[(ENDLESS, Blocks(2, 2))])
    before = dict(table)
    for architecture in ("cpu", "sm_90"):
        with only(table, architecture, Blocks(64, 1)):
            assert table == before | {architecture: [(ENDLESS, Blocks(64, 1))]}
        assert table == before


def test_search_finds_the_fastest_row_of_each_size_class() -> None:
    """The timer runs the step, which takes its row from the table as a kernel does."""
    table = launch_table("package.op", "tiles", default=[(ENDLESS, Tile(1, 1))])

    def make_step(side: int, device: torch.device) -> Callable[[], object]:
        return lambda: (side, blocks_for(table, device, 2 * side))

    def timed(step: Callable[[], object]) -> float:
        side, tile = step()  # type: ignore[misc]
        return abs(tile.height - side) + abs(tile.width - 8) if tile.height < 64 else float("inf")

    sizes = (16, 32, 64)
    tuning = Tuning(make_step, lambda side: 2 * side, [(h, w) for h in (64, 32, 16, 8) for w in (4, 8)], sizes)
    assert list(search(table, tuning, CPU, timed)) == [
        (32, Tile(16, 8), 0),
        (64, Tile(32, 8), 0),
        (ENDLESS, Tile(32, 8), 32),
    ]
    assert table == {"default": [(ENDLESS, Tile(1, 1))]}


def test_nothing_is_found_where_no_row_has_room() -> None:
    table = launch_table("package.op", "blocks", default=[(ENDLESS, DEFAULT)])
    assert list(search(table, Tuning(lambda side, device: lambda: None), CPU, lambda step: float("inf"))) == []


def test_tunings_are_found_by_their_folders() -> None:
    found = find_tunings(["dislayers", "dislosses", "dismetrics"])
    assert {"dislayers.nmf", "dislosses._pixel_loss"} <= set(found)
    for tunings in found.values():
        for tuning in tunings.values():
            limits = [tuning.elements(size) for size in tuning.sizes]
            assert limits == sorted(set(limits))


@pytest.mark.skipif(bool(triton_missing("cuda")), reason="needs Triton")
def test_every_launch_table_has_its_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    found = find_tunings(["dislayers", "dislosses"])
    for op in found:
        import_module(f"{op}.kernel")
    listed = {op: names for op, names in launch.tables.items() if not op.startswith("package.")}
    assert {op: set(names) for op, names in listed.items()} == {op: set(names) for op, names in found.items()}
    for op, tunings in found.items():
        for name, tuning in tunings.items():
            row = type(launch.tables[op][name]["default"][0][1])
            assert all(row(*fields) for fields in tuning.candidates)


def test_the_command_fills_the_file_of_the_package(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tyro")
    from dislayers import tune

    table = launch_table("package.op", "blocks", default=[(ENDLESS, DEFAULT)])
    monkeypatch.setattr(tune, "files", lambda package_: package)
    monkeypatch.setattr(tune, "table_of", lambda op, name: table)
    tunings = {"package.op": {"blocks": Tuning(lambda side, device: lambda: blocks_for(table, device, side))}}
    tune.tune(tunings, None, CPU, lambda step: -step().elements)  # type: ignore[attr-defined]
    rows = json.loads((package / "blocks.json").read_text())["package.op"]["blocks"]["cpu"]
    assert [row["elements"] for _, row in rows] == [32768] * 3
    assert launch_table("package.op", "blocks", default=[(ENDLESS, DEFAULT)])["cpu"] == table["cpu"]


@pytest.mark.parametrize(
    ("arguments", "text"), [((), "error: a GPU is needed: "), (("nmff",), "error: OP must be one of ")]
)
def test_the_command_says_in_one_line_what_is_wrong(arguments: tuple[str, ...], text: str) -> None:
    pytest.importorskip("tyro")
    done = subprocess.run(
        [sys.executable, "-m", "dislayers.tune", *arguments],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(text)
    assert done.stderr.count("\n") == 1
