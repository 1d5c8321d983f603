"""The progress of an evaluation on a terminal."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

Item = TypeVar("Item")


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} images/s" if task.speed else "", "progress.data.speed")


def progress(items: Iterable[Item], total: int, title: str, console: Console | None = None) -> Iterator[Item]:
    """Pass items through; a terminal shows how many are done, how many a second, and the time left; a file nothing."""
    console = console or Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield from bar.track(items, total)
