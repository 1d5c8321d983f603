"""Results of an evaluation: by subset and group of DIS5K, as CSV by image, as JSON."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from dismetrics.evaluate import Evaluator, Record
from dismetrics.evaluation.pool import Task
from dismetrics.evaluation.subsets import WHOLE

Item = TypeVar("Item")
_TEST_SETS = ("DIS-TE1", "DIS-TE2", "DIS-TE3", "DIS-TE4")


class Result(NamedTuple):
    """One method's prediction of a ground truth, and what was measured."""

    task: Task
    prediction: Path
    record: Record


class Evaluation(NamedTuple):
    """What was measured of one method's predictions."""

    metrics: Sequence[str]
    results: Sequence[Result]

    def by_subset(self) -> dict[str, Evaluator]:
        """Evaluators of each subset, of DIS-TE (1-4) where all four are there, and of all images."""
        parts = gathered(self.results, lambda result: result.task.subset)
        subsets = {name: self._evaluator(part) for name, part in parts.items()}
        names = set(subsets)
        if names.issuperset(_TEST_SETS):
            subsets["DIS-TE (1-4)"] = self._evaluator(
                result for result in self.results if result.task.subset in _TEST_SETS
            )
        if len(names) > 1 and names != set(_TEST_SETS):
            subsets[WHOLE] = self._evaluator(self.results)
        return subsets

    def by_group(self) -> dict[str, Evaluator]:
        """Evaluators of each group of DIS5K, such as `4#Architecture`; none for files that are not named so."""
        groups = gathered_by_group(self.results, lambda result: group_and_class(result.task.name)[0])
        return {name: self._evaluator(part) for name, part in groups.items()}

    def _evaluator(self, results: Iterable[Result]) -> Evaluator:
        evaluator = Evaluator(self.metrics)
        for result in results:
            evaluator.add(result.record)
        return evaluator


def group_and_class(name: str) -> tuple[str, str]:
    """Group and class of a DIS5K name, else two empty strings.

    `4#Architecture#10#Pavilion#5795028920_08884db993_o` -> `4#Architecture`, `10#Pavilion`.
    """
    fields = name.split("#")
    if len(fields) < 5 or not (fields[0].isdecimal() and fields[2].isdecimal()):
        return "", ""
    return "#".join(fields[:2]), "#".join(fields[2:4])


def gathered(items: Iterable[Item], key: Callable[[Item], str]) -> dict[str, list[Item]]:
    """The items of each key, in their order; those whose key is empty are left out."""
    parts: dict[str, list[Item]] = {}
    for item in items:
        if name := key(item):
            parts.setdefault(name, []).append(item)
    return parts


def gathered_by_group(items: Iterable[Item], group: Callable[[Item], str]) -> dict[str, list[Item]]:
    """The items of each DIS5K group, in the order of the groups' numbers; those without a group are left out."""
    groups = gathered(items, group)
    return dict(sorted(groups.items(), key=lambda part: int(part[0].split("#")[0])))


def csv_text(evaluations: Mapping[str, Evaluation]) -> str:
    """CSV with a row an image: subset, name, DIS5K group and class, and the image's own values by key.

    Of several methods, by their names, the first column says which.
    """
    rows = [
        ({"method": method} if len(evaluations) > 1 else {}) | row
        for method, evaluation in evaluations.items()
        for row in _image_rows(evaluation.results)
    ]
    return rows_text(rows)


def rows_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV of rows that have the keys of the first, which become its head."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def json_text(evaluations: Mapping[str, Evaluation]) -> str:
    """JSON with the averages by subset and by group, and the values by image; what is not finite is null.

    Of several methods it has one such document each, by name, in "methods".
    """
    documents = {method: _document(evaluation) for method, evaluation in evaluations.items()}
    document = {"methods": documents} if len(documents) > 1 else next(iter(documents.values()))
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _document(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "subsets": {name: _averages(evaluator) for name, evaluator in evaluation.by_subset().items()},
        "groups": {name: _averages(evaluator) for name, evaluator in evaluation.by_group().items()},
        "images": [_finite(row) for row in _image_rows(evaluation.results)],
    }


def _image_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    rows = []
    for result in results:
        group, kind = group_and_class(result.task.name)
        place = {"subset": result.task.subset, "name": result.task.name, "group": group, "class": kind}
        rows.append(place | result.record.values)
    return rows


def _averages(evaluator: Evaluator) -> dict[str, Any]:
    return {"images": len(evaluator), **_finite(evaluator.compute())}


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
