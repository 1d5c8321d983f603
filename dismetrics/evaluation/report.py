"""A report to look at: a page with the table, histograms, and the worst predictions in pictures."""

import math
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from dismetrics.evaluation.columns import Column
from dismetrics.evaluation.histogram import histogram_svg, legend
from dismetrics.evaluation.pictures import (
    FALSE_NEGATIVE,
    FALSE_NEGATIVE_CLICK,
    FALSE_POSITIVE,
    FALSE_POSITIVE_CLICK,
    FOUND,
    write_pictures,
)
from dismetrics.evaluation.results import Evaluation, Result
from dismetrics.evaluation.tables import Averages
from dismetrics.files import make_folder, write_whole

_PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>dismetrics</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }}
body {{ max-width: 1200px; margin: 2em auto; padding: 0 1em; }}
table {{ border-collapse: collapse; }} th, td {{ padding: .2em .8em; text-align: right; }}
th {{ border-bottom: 1px solid; }} .name {{ text-align: left; }}
.histograms {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 1em; }}
svg text {{ font-size: 11px; fill: currentColor; }}
.case {{ margin: 1.5em 0; }} .case img {{ width: 24.5%; vertical-align: top; }} .key {{ padding: 0 .5em; color: #000; }}
</style>
<h1>Evaluation</h1>
{table}
<h2>Images by value</h2>
<p>{legend}</p>
<div class="histograms">{histograms}</div>
{worst}
</html>
"""
_KEY = (
    f'<p>Errors: <span class="key" style="background:rgb{FOUND}">found</span> '
    f'<span class="key" style="background:rgb{FALSE_POSITIVE}">false positive</span> '
    f'<span class="key" style="background:rgb{FALSE_NEGATIVE}">false negative</span>; clicks of the human correction '
    f'effort on <span class="key" style="background:rgb{FALSE_POSITIVE_CLICK}">the first</span> and '
    f'<span class="key" style="background:rgb{FALSE_NEGATIVE_CLICK}">the second</span>: '
    "dots at corners of polygons, crosses on regions that take one click.</p>"
)


def write_report(
    folder: Path,
    evaluations: Mapping[str, Evaluation],
    table: Averages,
    worst_by: Column,
    worst: int = 8,
    images: Path | None = None,
) -> None:
    """Write `index.html`, which needs nothing but the pictures beside it.

    Args:
        folder: made if it is missing; of an earlier report, files of the same names are replaced.
        evaluations: method -> what was measured.
        table: averages by subset.
        worst_by: the value that tells which predictions are the worst; of equal ones the first comes first.
        worst: number of predictions shown of each method.
        images: folder of photos, see `find_photo`.

    Raises:
        OSError: a file cannot be read or written.
    """
    pictures = make_folder(folder / "pictures")
    sections = [
        f"<h2>{escape(method)}: the worst by {escape(worst_by.title)}</h2>{_KEY}"
        + "".join(_cases(_worst(evaluation, worst_by, worst), f"{number}", images, pictures, table.columns))
        for number, (method, evaluation) in enumerate(evaluations.items(), 1)
    ]
    histograms = [
        histogram_svg(
            column.title,
            {
                method: [result.record.values[column.key] for result in evaluation.results]
                for method, evaluation in evaluations.items()
            },
            column.digits,
        )
        for column in table.columns
    ]
    page = _PAGE.format(
        table=_table(table), legend=legend(list(evaluations)), histograms="".join(histograms), worst="".join(sections)
    )
    write_whole(folder / "index.html", page)


def _worst(evaluation: Evaluation, column: Column, count: int) -> list[Result]:
    def badness(result: Result) -> float:
        value = result.record.values[column.key]
        if math.isnan(value):
            return -math.inf
        return value if column.lower_is_better else -value

    return sorted(evaluation.results, key=badness, reverse=True)[:count]


def _cases(
    results: list[Result], stem: str, images: Path | None, pictures: Path, columns: list[Column]
) -> Iterator[str]:
    for rank, result in enumerate(results, 1):
        files = write_pictures(result, images, pictures, f"{stem}_{rank:03}")
        values = ", ".join(f"{column.title} {column.format(result.record.values[column.key])}" for column in columns)
        shown = "\n".join(
            f'<a href="pictures/{file}"><img loading="lazy" src="pictures/{file}" alt="{kind}" title="{kind}"></a>'
            for kind, file in files.items()
        )
        yield f'<div class="case"><p><b>{escape(result.task.key)}</b><br>{values}</p>{shown}</div>\n'


def _table(table: Averages) -> str:
    titles = ["subset", "method", "images", *(column.title for column in table.columns)]
    head = "".join(f"<th{_side(number)}>{escape(title)}" for number, title in enumerate(titles))
    rows = []
    for part in table.parts:
        for number, (method, cells) in enumerate(part.cells.items()):
            names = ["" if number else escape(part.name), escape(method), str(part.images)]
            digits = [f"<b>{cell.text}</b>" if cell.best and len(part.cells) > 1 else cell.text for cell in cells]
            rows.append("<tr>" + "".join(f"<td{_side(i)}>{text}" for i, text in enumerate([*names, *digits])))
    return f"<table><tr>{head}\n" + "\n".join(rows) + "</table>"


def _side(column: int) -> str:
    return ' class="name"' if column < 2 else ""
