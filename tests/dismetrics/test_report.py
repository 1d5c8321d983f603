"""The report: histograms, the worst predictions, and where the clicks would go."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from dismetrics import METRICS, Evaluator
from dismetrics.__main__ import main
from dismetrics.evaluation.columns import PRINTED, chosen_column, printed_columns
from dismetrics.evaluation.histogram import histogram_svg
from dismetrics.evaluation.pictures import (
    BACKGROUND,
    FALSE_NEGATIVE,
    FALSE_NEGATIVE_CLICK,
    FALSE_POSITIVE,
    FALSE_POSITIVE_CLICK,
    FOUND,
    error_map,
)

NAMES = ("a & <b>", "b", "c")


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def box(*boxes, size=(90, 100)):
    mask = np.zeros(size, np.uint8)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = 255
    return mask


@pytest.fixture
def folders(tmp_path):
    """Three images; the more boxes a prediction misses, the worse it is."""
    boxes = [(5, 5, 35, 35), (5, 50, 35, 85), (50, 10, 80, 80)]
    for missed, name in enumerate(NAMES):
        save(tmp_path / "data" / "DIS-VD" / "gt" / f"{name}.png", box(*boxes))
        save(tmp_path / "pred" / "DIS-VD" / f"{name}.png", box(*boxes[missed:]))
        save(tmp_path / "data" / "DIS-VD" / "im" / f"{name}.jpg", np.zeros((90, 100, 3), np.uint8))
    return tmp_path / "pred", tmp_path / "data"


def run(folders, *options):
    return main([*map(str, folders), *map(str, options)])


class Links(HTMLParser):
    """Everything that a page asks for, and its text."""

    def __init__(self):
        super().__init__()
        self.sources, self.text = [], ""

    def handle_starttag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in {"src", "href"}]

    def handle_data(self, data):
        self.text += data


def read(report):
    links = Links()
    links.feed((report / "index.html").read_text())
    return links


def test_the_page_shows_the_worst_first_and_needs_nothing_but_its_pictures(folders, tmp_path):
    report = tmp_path / "new" / "report"
    assert run(folders, "--report", report, "--worst", 2) == 0
    page = read(report)
    assert re.findall(r"DIS-VD/(.*?)max F", page.text.replace("\n", "")) == ["c", "b"]
    assert len(page.sources) == 2 * 2 * 4
    assert set(page.sources) == {f"pictures/{path.name}" for path in (report / "pictures").iterdir()}
    assert run(folders, "--report", report, "--worst-by", "s") == 0
    assert "DIS-VD/a & <b>" in read(report).text
    assert "worst by S" in read(report).text


def test_methods_have_a_sheet_each(folders, tmp_path):
    for name in NAMES:
        save(tmp_path / "x<y" / "DIS-VD" / f"{name}.png", box())
    assert run(folders, "--compare", tmp_path / "x<y", "--report", tmp_path / "report", "--worst", 1) == 0
    page = read(tmp_path / "report")
    assert "pred: the worst" in page.text
    assert "x<y: the worst" in page.text
    assert len(set(page.sources)) == 2 * 4


def test_photos_are_found_where_they_are_said_to_be(folders, tmp_path):
    photos = folders[1] / "DIS-VD" / "im"
    photos.rename(tmp_path / "photos")
    assert run(folders, "--report", tmp_path / "without") == 0
    assert not list((tmp_path / "without" / "pictures").glob("*_image.jpg"))
    assert run(folders, "--report", tmp_path / "with", "--images", tmp_path / "photos") == 0
    assert len(list((tmp_path / "with" / "pictures").glob("*_image.jpg"))) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--worst-by", "beauty"], "worst_by: expected one of max_f, "),
        (["--images", "absent"], "images: expected a folder of photos, got absent"),
        (["--report", "pred/DIS-VD/b.png"], "expected a folder, got a file"),
    ],
)
def test_bad_options_are_told_before_the_work(folders, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dismetrics.__main__.evaluate_files", lambda *_: pytest.fail("worked"))
    assert run(folders, *options) == 1
    assert message in capsys.readouterr().err


def test_without_the_human_correction_effort_the_first_value_tells_the_worst():
    assert chosen_column(None, PRINTED).key == "hce"
    assert chosen_column(None, PRINTED[:3]).key == "max_f"


def test_errors_and_clicks_have_their_colours():
    gt, pred = box((10, 10, 40, 40), (60, 60, 80, 80)), box((10, 10, 40, 40), (60, 10, 80, 30))
    picture = error_map(pred, gt)
    assert picture.shape == (90, 100, 3)
    for (row, column), colour in {
        (0, 0): BACKGROUND,
        (20, 20): FOUND,
        (62, 12): FALSE_POSITIVE,
        (70, 70): FALSE_NEGATIVE,
        (69, 19): FALSE_POSITIVE_CLICK,
        (60, 65): FALSE_NEGATIVE_CLICK,
    }.items():
        assert tuple(picture[row, column]) == colour
    assert error_map(pred, gt, longest_side=50).shape == (45, 50, 3)


def areas(svg):
    """Area under each outline, in bars of height 1."""
    paths = [path.get("d") for path in ElementTree.fromstring(svg).iter("path")]
    return [[102 - float(height) for height in re.findall(r"V([\d.]+)H", path)] for path in paths]


def test_a_histogram_counts_every_finite_value():
    values = {"a": [0.0, 0.0, 1.0, float("nan")], "b<": [1.0]}
    (first, second) = areas(histogram_svg("S & more", values, 3))
    assert (first[0], first[-1], sum(first)) == pytest.approx((84, 42, 126))
    assert (second[-1], sum(second)) == pytest.approx((42, 42))


@pytest.mark.parametrize("values", [[], [3.0], [float("nan")]])
def test_a_histogram_of_one_value_or_none_is_drawn(values):
    ElementTree.fromstring(histogram_svg("HCE", {"a": values}, 0))


def test_the_best_value_ignores_what_is_no_number():
    mae, hce = PRINTED[2], PRINTED[5]
    assert mae.best([0.2, float("nan"), 0.1]) == "0.100"
    assert hce.best([float("nan")]) == ""
    assert PRINTED[0].best([0.1, 0.2]) == "0.200"


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_printed(metric):
    evaluator = Evaluator([metric])
    evaluator.update(box((1, 1, 20, 20)), box((5, 1, 25, 20)))
    (column,) = printed_columns(evaluator.compute())
    assert column.key in evaluator.records[0].values
