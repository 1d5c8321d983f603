"""What the command lines share: how they end after an error, and how they name all files that cannot be read."""

import sys
from collections.abc import Callable, Iterable, Sequence

import tyro

from dismetrics.files import ImageFileError, shortened


def run(command: Callable[..., None], program: str, arguments: Sequence[str] | None) -> int:
    """Run a command; returns the exit status: 0, 1 after an error, 130 when interrupted."""
    try:
        tyro.cli(command, args=arguments, prog=program)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except MemoryError:
        print("error: not enough memory: try fewer --workers", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def refuse_unreadable(outcomes: Iterable[object]) -> None:
    """Raise a ValueError that lists each file once that could not be read, if there are any among the outcomes."""
    if unreadable := list(dict.fromkeys(str(one) for one in outcomes if isinstance(one, ImageFileError))):
        raise ValueError(shortened(unreadable, "\n"))
