"""Tables of averages, methods side by side: on the screen and in LaTeX."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from dismetrics.evaluate import Evaluator
from dismetrics.evaluation.columns import Column, printed_columns

_LATEX_SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


class Cell(NamedTuple):
    """A value as printed, and whether no other method's is better."""

    text: str
    best: bool


class Part(NamedTuple):
    """A part of the data (a subset, a group): its images, and the printed values of each method in it."""

    name: str
    images: int
    cells: Mapping[str, list[Cell]]


class Averages(NamedTuple):
    """What tables print: their columns, and their parts."""

    columns: list[Column]
    parts: list[Part]


def averages(methods: Mapping[str, Mapping[str, Evaluator]]) -> Averages:
    """Average what was counted.

    Args:
        methods: method -> part of the data -> evaluator; all methods have the same parts and images.
    """
    values = {
        method: {part: evaluator.compute() for part, evaluator in parts.items()} for method, parts in methods.items()
    }
    first = next(iter(methods))
    columns = printed_columns(next(iter(values[first].values())))
    parts = []
    for name, evaluator in methods[first].items():
        best = [column.best([values[method][name][column.key] for method in methods]) for column in columns]
        cells = {
            method: [_cell(column, values[method][name], top) for column, top in zip(columns, best, strict=True)]
            for method in methods
        }
        parts.append(Part(name, len(evaluator), cells))
    return Averages(columns, parts)


def screen_table(title: str, table: Averages) -> Table:
    """Table for the screen, a row a part; of several methods a row a part and method, the best values bold."""
    several = len(table.parts[0].cells) > 1
    names = [title, "method"] if several else [title]
    grid = empty_table(names, ["images", *(column.title for column in table.columns)])
    for part in table.parts:
        for number, (method, cells) in enumerate(part.cells.items()):
            labels = ["" if number else part.name, method] if several else [part.name]
            digits = [Text(cell.text, "bold" if several and cell.best else "") for cell in cells]
            grid.add_row(*map(Text, labels), str(part.images), *digits)
        if several:
            grid.add_section()
    return grid


def empty_table(names: Sequence[str], values: Sequence[str]) -> Table:
    """Table for the screen without rows yet: columns of names, then columns of values, by their titles."""
    grid = Table(*names, *values, box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for number, column in enumerate(grid.columns):
        if number < len(names):
            column.overflow = "fold"  # names, unlike their beginnings, tell rows apart
        else:
            column.justify = "right"
    return grid


def latex_table(table: Averages) -> str:
    """Table for a paper that uses booktabs, as DIS5K's: a row a part and metric, a column a method, the best bold."""
    methods = list(table.parts[0].cells)
    several = len(methods) > 1
    blocks = []
    for part in table.parts:
        lines: list[str] = []
        for number, column in enumerate(table.columns):
            arrow = r"$\downarrow$" if column.lower_is_better else r"$\uparrow$"
            cells = [part.cells[method][number] for method in methods]
            digits = [rf"\textbf{{{cell.text}}}" if several and cell.best else cell.text for cell in cells]
            name = "" if lines else _latex(part.name)
            lines.append(" & ".join([name, f"{column.latex} {arrow}", *digits]) + r" \\")
        blocks.append("\n".join(lines) + "\n")
    head = " & ".join(["Dataset", "Metric", *map(_latex, methods)]) + r" \\"
    layout = "ll" + "c" * len(methods)
    return (
        f"\\begin{{tabular}}{{{layout}}}\n\\toprule\n{head}\n\\midrule\n"
        + "\\midrule\n".join(blocks)
        + "\\bottomrule\n\\end{tabular}\n"
    )


def _cell(column: Column, values: Mapping[str, float], best: str) -> Cell:
    text = column.format(values[column.key])
    return Cell(text, text == best)


def _latex(text: str) -> str:
    return "".join(_LATEX_SPECIAL.get(character, character) for character in text)
