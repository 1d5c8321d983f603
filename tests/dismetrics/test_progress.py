"""Progress: on a terminal the count, the speed and the time left; nothing in a file."""

import io
import time

from rich.console import Console

from dismetrics.evaluation.progress import progress


def slowly(count):
    for number in range(count):
        time.sleep(0.15)
        yield number


def shown(terminal):
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100)
    assert list(progress(slowly(3), 3, "evaluating", console)) == [0, 1, 2]
    return file.getvalue()


def test_a_terminal_shows_what_is_done():
    text = shown(terminal=True)
    assert "evaluating" in text
    assert "3/3" in text
    assert "images/s" in text


def test_a_file_gets_nothing():
    assert shown(terminal=False) == ""
