"""python -m dismetrics: tables, files, and what it says about bad input."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dismetrics import DIS_METRICS, Evaluator, complexity
from dismetrics.__main__ import main

RANDOM = np.random.default_rng(0)
FAST = ("--metrics", "f_measure", "mean_absolute_error", "--workers", "1")
PAVILION = "4#Architecture#10#Pavilion#5795028920_08884db993_o"
BAG = "1#Accessories#1#Bag#2339506821_83cf9f1d22_o"


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def add_pair(predictions, truths, name):
    gt = (RANDOM.random((20, 24)) < 0.5).astype(np.uint8) * 255
    pred = (0.7 * gt + 70 * RANDOM.random(gt.shape)).astype(np.uint8)
    save(predictions / f"{name}.png", pred)
    save(truths / f"{name}.png", gt)
    return pred, gt


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "pred", tmp_path / "gt"


def run(folders, *options):
    return main([str(folders[0]), str(folders[1]), *map(str, options)])


def test_one_folder(folders, tmp_path, capsys):
    evaluator = Evaluator(DIS_METRICS)
    for name in ("b", "a"):
        evaluator.update(*add_pair(*folders, name), name)
    save(folders[0] / "unasked.png", np.zeros((3, 3), np.uint8))
    assert run(folders, "--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json", "--workers", 2) == 0
    averages = evaluator.compute()
    shown = capsys.readouterr().out
    for key in ("max_f", "weighted_f", "mae", "s", "mean_e"):
        assert f"{averages[key]:.3f}" in shown
    assert f"{averages['hce']:.0f}" in shown
    assert "group" not in shown
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["subsets"] == {"all": {"images": 2, **averages}}
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["a", "b"]
    expected = {row["name"]: row for row in evaluator.table()}
    assert all(float(row[key]) == expected[row["name"]][key] for row in rows for key in averages)


def test_the_layout_of_dis5k(folders, tmp_path, capsys):
    pred, gt = folders
    for subset in ("DIS-VD", "DIS-TE1", "DIS-TE2", "DIS-TE3", "DIS-TE4"):
        add_pair(pred / subset, gt / subset / "gt", PAVILION)
        save(gt / subset / "im" / f"{PAVILION}.png", np.zeros((20, 24), np.uint8))
    add_pair(pred / "DIS-TE4", gt / "DIS-TE4" / "gt", BAG)
    save(gt / "DIS-TR" / "gt" / "a.png", np.zeros((20, 24), np.uint8))
    assert run(folders, *FAST, "--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv") == 0
    document = json.loads((tmp_path / "a.json").read_text())
    assert {name: values["images"] for name, values in document["subsets"].items()} == {
        **{"DIS-TE1": 1, "DIS-TE2": 1, "DIS-TE3": 1, "DIS-TE4": 2, "DIS-VD": 1},
        **{"DIS-TE (1-4)": 5, "all": 6},
    }
    assert {name: values["images"] for name, values in document["groups"].items()} == {
        "1#Accessories": 1,
        "4#Architecture": 5,
    }
    with (tmp_path / "a.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[-1]
    assert (row["subset"], row["name"], row["group"], row["class"]) == (
        *("DIS-VD", PAVILION),
        *("4#Architecture", "10#Pavilion"),
    )
    shown = capsys.readouterr()
    assert "DIS-TE (1-4)" in shown.out
    assert "not evaluated, for want of predictions: DIS-TR" in shown.err


def test_predictions_may_lie_in_one_subfolder(folders):
    add_pair(folders[0] / "DIS-VD" / "results", folders[1] / "DIS-VD" / "gt", "a")
    assert run(folders, *FAST) == 0


def test_test_sets_alone_are_summed_up_once(folders, tmp_path):
    for number in range(1, 5):
        add_pair(folders[0] / f"DIS-TE{number}", folders[1] / f"DIS-TE{number}", "a")
    assert run(folders, *FAST, "--json", tmp_path / "a.json") == 0
    subsets = json.loads((tmp_path / "a.json").read_text())["subsets"]
    assert list(subsets) == ["DIS-TE1", "DIS-TE2", "DIS-TE3", "DIS-TE4", "DIS-TE (1-4)"]
    assert subsets["DIS-TE (1-4)"]["images"] == 4


@pytest.fixture
def three_methods(folders, tmp_path):
    """A sharp method, a blurred and a wrong one on two subsets; the last has a third that the others lack."""
    pred, gt = folders
    for subset, size in [("DIS-TE1", 20), ("DIS-TE2", 24)]:
        truth = np.zeros((size, 30), np.uint8)
        truth[5:15, 8:20] = 255
        save(gt / subset / "a_b.png", truth)
        save(pred / subset / "a_b.png", truth)
        blurred = truth // 2
        blurred[0, 0] = 255
        save(tmp_path / "blurred" / subset / "a_b.png", blurred)
        save(tmp_path / "wrong_one" / subset / "a_b.png", 255 - truth)
    for folder in (gt, tmp_path / "wrong_one"):
        save(folder / "DIS-TE3" / "a_b.png", truth)
    return pred, gt, tmp_path / "blurred", tmp_path / "wrong_one"


def compare(three_methods, *options):
    pred, gt, *others = three_methods
    return run((pred, gt), "--compare", *others, *options)


def test_methods_are_compared_on_the_subsets_that_all_have(three_methods, tmp_path, capsys):
    assert compare(three_methods, *FAST, "--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json") == 0
    shown = capsys.readouterr()
    assert shown.out.count("blurred") == 3
    assert "not evaluated, for want of predictions: DIS-TE3" in shown.err
    methods = json.loads((tmp_path / "a.json").read_text())["methods"]
    assert list(methods) == ["pred", "blurred", "wrong_one"]
    for method, folder in zip(methods, [three_methods[0], *three_methods[2:]], strict=True):
        assert run((folder, three_methods[1] / "DIS-TE1"), *FAST) == 1  # a folder of subsets is no subset
        assert run((folder / "DIS-TE1", three_methods[1] / "DIS-TE1"), *FAST, "--json", tmp_path / "alone.json") == 0
        alone = json.loads((tmp_path / "alone.json").read_text())["subsets"]["all"]
        assert methods[method]["subsets"]["DIS-TE1"] == alone
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["subset"]) for row in rows] == [
        (method, subset) for method in methods for subset in ("DIS-TE1", "DIS-TE2")
    ]


def test_the_best_of_several_methods_is_bold(three_methods, tmp_path):
    assert compare(three_methods, *FAST, "--latex", tmp_path / "a.tex") == 0
    lines = (tmp_path / "a.tex").read_text().splitlines()
    assert lines[:4] == [
        r"\begin{tabular}{llccc}",
        r"\toprule",
        r"Dataset & Metric & pred & blurred & wrong\_one \\",
        r"\midrule",
    ]
    assert lines[4].startswith(r"DIS-TE1 & $F_\beta^{mx}$ $\uparrow$ & \textbf{1.000} & 0.")
    assert lines[5].startswith(r" & $M$ $\downarrow$ & \textbf{0.000} & 0.")
    assert lines[5].endswith(r" & 1.000 \\")
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    assert sum(line == r"\midrule" for line in lines) == 3


def test_one_method_has_no_bold_in_latex(folders, tmp_path):
    add_pair(folders[0] / "50%_{x}", folders[1] / "50%_{x}", "a")
    assert run(folders, *FAST, "--latex", tmp_path / "a.tex") == 0
    text = (tmp_path / "a.tex").read_text()
    assert r"50\%\_\{x\}" in text
    assert "textbf" not in text


def test_methods_of_one_folder_name_are_told_apart_and_twice_the_same_is_refused(folders, tmp_path, capsys):
    add_pair(tmp_path / "x" / "masks", folders[1], "a")
    add_pair(tmp_path / "y" / "masks", folders[1], "a")
    first, second = tmp_path / "x" / "masks", tmp_path / "y" / "masks"
    assert run((first, folders[1]), "--compare", second, *FAST, "--json", tmp_path / "a.json") == 0
    assert list(json.loads((tmp_path / "a.json").read_text())["methods"]) == ["x/masks", "y/masks"]
    assert run((first, folders[1]), "--compare", first, *FAST) == 1
    assert f"{first}: expected different folders to compare, got one twice" in capsys.readouterr().err


def test_values_that_are_not_finite_are_null(folders, tmp_path):
    last_row = np.zeros((20, 24), np.uint8)
    last_row[-1] = 255
    save(folders[0] / "a.png", last_row)
    save(folders[1] / "a.png", last_row)
    assert run(folders, "--metrics", "s_measure", "--json", tmp_path / "a.json") == 0
    assert json.loads((tmp_path / "a.json").read_text())["subsets"]["all"] == {"images": 1, "s": None}


def test_a_run_with_a_cache_gives_the_same_files(folders, tmp_path):
    add_pair(*folders, "a")
    for name in ("plain", "first", "second"):
        cache = () if name == "plain" else ("--cache", tmp_path / "cache")
        assert run(folders, *cache, "--json", tmp_path / f"{name}.json") == 0
    assert len({(tmp_path / f"{name}.json").read_bytes() for name in ("plain", "first", "second")}) == 1


def test_everything_wrong_with_the_files_is_said_at_once(folders, tmp_path, capsys):
    pred, gt = folders
    for subset in ("one", "two"):
        add_pair(pred / subset, gt / subset, "fine")
    save(gt / "one" / "lonely.png", np.zeros((20, 24), np.uint8))
    save(pred / "two" / "small.png", np.zeros((10, 12), np.uint8))
    save(gt / "two" / "small.png", np.zeros((20, 24), np.uint8))
    save(gt / "two" / "text.png", np.zeros((20, 24), np.uint8))
    (pred / "two" / "text.png").write_text("no image")
    assert run(folders, *FAST, "--csv", tmp_path / "a.csv") == 1
    said = capsys.readouterr().err
    assert "lonely.png" in said
    assert f"{pred / 'two' / 'small.png'} is 12 x 10, its ground truth {gt / 'two' / 'small.png'} is 24 x 20" in said
    assert f"{pred / 'two' / 'text.png'}: not an image" in said
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_all_truncated_files_are_named_and_nothing_is_written(folders, tmp_path, capsys, workers):
    for name in ("a", "b", "c"):
        add_pair(*folders, name)
    for name in ("a", "c"):
        path = folders[0] / f"{name}.png"
        path.write_bytes(path.read_bytes()[:-80])
    assert run(folders, "--metrics", "s_measure", "--workers", workers, "--csv", tmp_path / "a.csv") == 1
    said = capsys.readouterr().err
    assert f"{folders[0] / 'a.png'}: " in said
    assert f"{folders[0] / 'c.png'}: " in said
    assert "Traceback" not in said
    assert not (tmp_path / "a.csv").exists()


def test_a_truncated_truth_is_named_once_though_several_methods_need_it(folders, capsys):
    add_pair(*folders, "a")
    truth = folders[1] / "a.png"
    save(folders[0].with_name("other") / "a.png", np.zeros((20, 24), np.uint8))
    truth.write_bytes(truth.read_bytes()[:-80])
    assert run(folders, "--compare", folders[0].with_name("other"), *FAST) == 1
    assert capsys.readouterr().err.count(str(truth)) == 1


def test_an_interruption_ends_the_run_with_its_own_status(folders, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    add_pair(*folders, "a")
    monkeypatch.setattr("dismetrics.evaluation.pool.measure", interrupted)
    assert run(folders, *FAST) == 130


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics", "f_meassure"], "metrics: expected"),
        (["--workers", "0"], "workers: expected a number >= 1, got 0"),
        (["--csv", "absent/a.csv"], "there is no folder absent"),
    ],
)
def test_bad_options_are_one_line(folders, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    add_pair(*folders, "a")
    assert run(folders, *options) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert message in said
    assert said.count("\n") == 1


def test_folders_without_anything_to_compare_are_named(folders, capsys):
    pred, gt = folders
    assert run(folders) == 1
    assert f"{pred}: expected a folder" in capsys.readouterr().err
    pred.mkdir()
    gt.mkdir()
    assert run(folders) == 1
    assert f"images in {gt}" in capsys.readouterr().err
    add_pair(pred / "DIS-TE1", gt / "DIS-VD", "a")
    assert run(folders) == 1
    assert "DIS-VD" in capsys.readouterr().err


def test_names_in_square_brackets_are_shown(folders, capsys):
    add_pair(folders[0] / "[red]", folders[1] / "[red]", "a")
    assert run(folders, *FAST) == 0
    assert "[red]" in capsys.readouterr().out


@pytest.mark.parametrize("package", ["rich", "tyro"])
def test_a_missing_extra_is_one_line(package):
    code = f"import sys, runpy; sys.modules[{package!r}] = None; runpy.run_module('dismetrics', run_name='__main__')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    message = rf"error: evaluation needs {package}\S*; install it with: pip install 'dislayers\[cli\]'\n"
    assert re.fullmatch(message, ended.stderr)


def test_importing_dismetrics_needs_no_extra():
    code = "import sys; sys.modules['rich'] = sys.modules['tyro'] = None; import dismetrics"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_page_names_every_option_and_no_other(capsys):
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    for command in (main, complexity.main):
        with pytest.raises(SystemExit):
            command(["--help"])
    options = re.findall(r"^\W*(--[a-z]+(?:-[a-z]+)*)", capsys.readouterr().out, flags=re.MULTILINE)
    assert {"--compare", "--csv"} <= set(options)
    assert set(re.findall(r"--[a-z]+(?:-[a-z]+)*", page)) == set(options) | {"--help"}


def test_as_a_module(folders):
    add_pair(*folders, "a")
    command = [sys.executable, "-m", "dismetrics", *map(str, folders), "--metrics", "mean_absolute_error"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "MAE" in ended.stdout
    assert subprocess.run(command[:4], capture_output=True, check=False).returncode == 2
