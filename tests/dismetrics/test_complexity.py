"""python -m dismetrics.complexity: what it prints, writes, and says about bad input."""

import csv
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dismetrics import shape_complexity
from dismetrics.complexity import main


def comb(teeth):
    """A mask whose three measures rise with its teeth, each of which has a hole."""
    mask = np.zeros((40, 200), np.uint8)
    mask[30:38, 2:198] = 255
    for left in range(4, 4 + 12 * teeth, 12):
        mask[4:30, left : left + 7] = 255
        mask[10:15, left + 2 : left + 5] = 0
    return mask


def save(folder, name, mask):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(folder / f"{name}.png")


@pytest.fixture
def combs(tmp_path):
    """Combs of 0 to 7 teeth, whose names say how many, in another order than their teeth."""
    for number, teeth in enumerate([3, 6, 0, 7, 1, 5, 2, 4]):
        save(tmp_path / "gt", f"{number}_{teeth}", comb(teeth))
    return tmp_path / "gt"


def run(*arguments):
    return main([*map(str, arguments)])


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def names(path):
    return path.read_text().splitlines()


def table(shown):
    """First column -> number of masks."""
    cells = [line.split() for line in shown.splitlines() if "±" in line]
    return {row[0]: int(row[1]) for row in cells}


@pytest.mark.parametrize("workers", [1, 3])
def test_one_folder(combs, tmp_path, capsys, workers):
    assert run(combs, "--csv", tmp_path / "a.csv", "--workers", workers) == 0
    found = [shape_complexity(comb(int(row["name"][-1]))) for row in rows(tmp_path / "a.csv")]
    for row, one in zip(rows(tmp_path / "a.csv"), found, strict=True):
        assert {key: float(row[key]) for key in (*one._fields, "product")} == {**one._asdict(), "product": one.product}
    assert [row["name"] for row in rows(tmp_path / "a.csv")] == sorted(path.stem for path in combs.iterdir())
    shown = capsys.readouterr().out
    assert table(shown) == {"all": 8}
    for measure in list(zip(*found, strict=True))[:3]:
        assert f"{np.mean(measure):.1f} ± {np.std(measure):.1f}" in shown
    assert f" {np.mean([one.product for one in found]):.0f} " in shown


def test_a_split_goes_from_simple_to_complex(combs, tmp_path, capsys):
    assert run(combs, "--split", 4, "--csv", tmp_path / "a.csv", "--output", tmp_path / "lists") == 0
    assert table(capsys.readouterr().out) == {"TE1": 2, "TE2": 2, "TE3": 2, "TE4": 2, "all": 8}
    lists = {path.stem: names(path) for path in sorted((tmp_path / "lists").iterdir())}
    assert lists == {"TE1": ["2_0", "4_1"], "TE2": ["6_2", "0_3"], "TE3": ["7_4", "5_5"], "TE4": ["1_6", "3_7"]}
    assert [(row["subset"], row["name"]) for row in rows(tmp_path / "a.csv")] == [
        (subset, name) for subset, part in lists.items() for name in part
    ]


def test_the_layout_of_dis5k(tmp_path, capsys):
    bag, pavilion = "1#Accessories#1#Bag#2_o", "10#Machine#10#Fan#5_o"
    for number in (1, 2):
        save(tmp_path / f"DIS-TE{number}" / "gt", pavilion, comb(4 - number))
        save(tmp_path / f"DIS-TE{number}" / "im", "photo", comb(0))
    save(tmp_path / "DIS-TE2" / "gt", bag, comb(1))
    assert run(tmp_path, "--csv", tmp_path / "a.csv") == 0
    shown = table(capsys.readouterr().out)
    assert list(shown.items()) == [
        *[("DIS-TE1", 1), ("DIS-TE2", 2), ("all", 3)],
        *[("1#Accessories", 1), ("10#Machine", 2)],
    ]
    first = rows(tmp_path / "a.csv")[0]
    assert (first["subset"], first["name"]) == ("DIS-TE1", pavilion)
    assert (first["group"], first["class"]) == ("10#Machine", "10#Fan")

    folders = [tmp_path / "DIS-TE1", tmp_path / "DIS-TE2"]
    assert run(*folders, "--split", 3, "--output", tmp_path / "lists") == 0
    assert [names(tmp_path / "lists" / f"TE{number}.txt") for number in (1, 2, 3)] == [
        [f"DIS-TE2/{bag}"],
        [f"DIS-TE2/{pavilion}"],
        [f"DIS-TE1/{pavilion}"],
    ]


def test_an_empty_mask_is_named_and_not_averaged(combs, capsys):
    assert run(combs) == 0
    without = capsys.readouterr()
    save(combs, "none", np.zeros((9, 9), np.uint8))
    assert run(combs) == 0
    shown = capsys.readouterr()
    assert shown.err == "empty masks, which have no IPQ: none\n"
    ipq = [line.split()[2:5] for line in without.out.splitlines() if "±" in line]
    assert [line.split()[2:5] for line in shown.out.splitlines() if "±" in line] == ipq
    assert table(shown.out) == {"all": 9}


def test_files_that_cannot_be_read_are_all_named_and_nothing_is_written(combs, tmp_path, capsys):
    for name in ("0_3", "3_7"):
        (combs / f"{name}.png").write_text("no image")
    assert run(combs, "--split", 2, "--csv", tmp_path / "a.csv", "--output", tmp_path / "lists") == 1
    said = capsys.readouterr().err
    assert "0_3.png: not an image" in said
    assert "3_7.png: not an image" in said
    assert not (tmp_path / "a.csv").exists()
    assert not list((tmp_path / "lists").iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent"], "absent: no such folder"),
        (["gt", "gt"], "expected different folders"),
        (["bare"], "bare: no images"),
        (["gt", "--split", "9"], "subsets: expected 1 to 8, the number of masks, got 9"),
        (["gt", "--split", "0"], "subsets: expected 1 to 8, the number of masks, got 0"),
        (["gt", "--output", "lists"], "output: expected with --split"),
        (["gt", "--csv", "absent/a.csv"], "there is no folder absent"),
        (["gt", "--workers", "0"], "workers: expected a number >= 1, got 0"),
    ],
)
def test_bad_arguments_are_one_line(combs, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare").mkdir()
    assert run(*arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1


def test_as_a_module(combs):
    command = [sys.executable, "-m", "dismetrics.complexity", str(combs)]
    ended = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "IPQ" in ended.stdout


def test_without_the_extra_it_says_what_to_install():
    code = "import sys, runpy; sys.modules['tyro'] = None; runpy.run_module('dismetrics.complexity')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "error: measuring folders needs tyro; install it with: pip install 'dislayers[cli]'\n"
