"""Tables of an evaluation: on the screen, as CSV by image, as JSON."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from dismetrics.evaluate import Evaluator
from dismetrics.subsets import WHOLE

_TEST_SETS = {"DIS-TE1", "DIS-TE2", "DIS-TE3", "DIS-TE4"}
_PRINTED = {"max_f": "max F", "weighted_f": "weighted F", "mae": "MAE", "s": "S", "mean_e": "mean E", "hce": "HCE"}


class Result(NamedTuple):
    """An image's place in the evaluation, and the evaluator that has counted it alone."""

    subset: str
    name: str
    evaluator: Evaluator


def by_subset(results: Sequence[Result]) -> dict[str, Evaluator]:
    """Evaluators of each subset, of DIS-TE (1-4) where all four are there, and of all images."""
    subsets = _gather(results, lambda result: result.subset)
    names = set(subsets)
    if names >= _TEST_SETS:
        subsets["DIS-TE (1-4)"] = _merged(subsets[name] for name in _TEST_SETS)
    if len(names) > 1 and names != _TEST_SETS:
        subsets[WHOLE] = _merged(result.evaluator for result in results)
    return subsets


def by_group(results: Sequence[Result]) -> dict[str, Evaluator]:
    """Evaluators of each group of DIS5K, such as `4#Architecture`; none for files that are not named so."""
    groups = _gather(results, lambda result: group_and_class(result.name)[0])
    return dict(sorted(groups.items(), key=lambda item: int(item[0].split("#")[0])))


def group_and_class(name: str) -> tuple[str, str]:
    """Group and class of a DIS5K name, else two empty strings.

    `4#Architecture#10#Pavilion#5795028920_08884db993_o` -> `4#Architecture`, `10#Pavilion`.
    """
    fields = name.split("#")
    if len(fields) < 5 or not (fields[0].isdecimal() and fields[2].isdecimal()):
        return "", ""
    return "#".join(fields[:2]), "#".join(fields[2:4])


def screen_table(title: str, rows: Mapping[str, Evaluator]) -> Table:
    """Table of the metrics that papers print, a row an evaluator, to three digits as they do."""
    averages = {name: evaluator.compute() for name, evaluator in rows.items()}
    keys = [key for key in _PRINTED if key in next(iter(averages.values()))]
    table = Table(title, "images", *(_PRINTED[key] for key in keys), box=box.SIMPLE_HEAD)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, values in averages.items():
        digits = (f"{values[key]:.{0 if key == 'hce' else 3}f}" for key in keys)
        table.add_row(Text(name), str(len(rows[name])), *digits)
    return table


def csv_text(results: Sequence[Result]) -> str:
    """CSV with a row an image: subset, name, DIS5K group and class, and the image's own values by key."""
    rows = _image_rows(results)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def json_text(results: Sequence[Result]) -> str:
    """JSON with the averages by subset and by group, and the values by image; what is not finite is null."""
    document = {
        "subsets": {name: _averages(evaluator) for name, evaluator in by_subset(results).items()},
        "groups": {name: _averages(evaluator) for name, evaluator in by_group(results).items()},
        "images": [_finite(row) for row in _image_rows(results)],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _gather(results: Sequence[Result], key: Callable[[Result], str]) -> dict[str, Evaluator]:
    evaluators: dict[str, list[Evaluator]] = {}
    for result in results:
        if name := key(result):
            evaluators.setdefault(name, []).append(result.evaluator)
    return {name: _merged(evaluators_of_one) for name, evaluators_of_one in evaluators.items()}


def _merged(evaluators: Iterable[Evaluator]) -> Evaluator:
    first, *others = evaluators
    merged = Evaluator(first.metrics)
    for evaluator in (first, *others):
        merged.merge(evaluator)
    return merged


def _image_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    rows = []
    for subset, name, evaluator in results:
        group, kind = group_and_class(name)
        (values,) = evaluator.table()
        rows.append({"subset": subset, "name": name, "group": group, "class": kind} | values | {"name": name})
    return rows


def _averages(evaluator: Evaluator) -> dict[str, Any]:
    return {"images": len(evaluator), **_finite(evaluator.compute())}


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
