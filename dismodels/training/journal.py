"""What a run tells: progress bars, a JSON-lines log, TensorBoard scalars and strips of pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from torch.utils.tensorboard import SummaryWriter

from dismetrics.files import write_whole, written_whole
from dismodels.data.folder import Progress
from dismodels.data.images import Pixels


class Journal:
    """The diary of one run; in processes other than the main one it keeps silent.

    Args:
        output: the run's folder, where ``log.jsonl`` and ``tensorboard`` lie.
        main: whether this process speaks for the run.
    """

    def __init__(self, output: Path, main: bool = True) -> None:
        self.output, self.main = output, main
        self.console = Console(quiet=not main)
        self.log = output / "log.jsonl"
        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[terms]}"),
            console=self.console,
            disable=not main,
        )
        self.bar: TaskID | None = None
        self.board: SummaryWriter | None = None

    def __enter__(self) -> Journal:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bars.stop()
        # What ended the run tells more than a writer that ends with it.
        with suppress(OSError) if error else nullcontext():
            self._close_board()

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self.console.print(text, highlight=False, soft_wrap=True)

    @contextmanager
    def stage(self, name: str, step: int, steps: int) -> Iterator[None]:
        """A stage of the run, entered at step: a bar for it, and whatever it logged beyond step forgotten."""
        if self.main:
            self._forget(name, step)
            self.board = SummaryWriter(self.output / "tensorboard" / name, purge_step=step or None)
        self.bar = self.bars.add_task(name, total=steps, completed=step, terms="")
        yield
        self.bars.remove_task(self.bar)
        self._close_board()

    @contextmanager
    def preparing(self) -> Iterator[Progress]:
        """A bar for the preparation of data; what it gives is called with the number done and of all."""
        bar = self.bars.add_task("preparing data", total=None, terms="")
        yield lambda done, total: self.bars.update(bar, completed=done, total=total)
        self.bars.remove_task(bar)

    def advance(self, step: int) -> None:
        """Move the bar to step."""
        if self.bar is not None:
            self.bars.update(self.bar, completed=step)

    def show(self, terms: Mapping[str, float]) -> None:
        """Show loss terms beside the bar."""
        if self.bar is not None:
            self.bars.update(self.bar, terms="  ".join(f"{name} {value:.3g}" for name, value in terms.items()))

    def scalars(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Log numbers at a step of a stage."""
        if not self.main:
            return
        with _naming(self.log), self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"stage": stage, "step": step, **values}) + "\n")
        if self.board is not None:
            with _naming(self.output / "tensorboard"):
                for name, value in values.items():
                    self.board.add_scalar(name, value, step)

    def strip(self, stage: str, step: int, pixels: Pixels) -> None:
        """Keep a strip of pictures, uint8 (H, W, 3): in TensorBoard, and as the stage's latest ``strip.png``."""
        if not self.main:
            return
        if self.board is not None:
            with _naming(self.output / "tensorboard"):
                self.board.add_image("image, truth, prediction", pixels, step, dataformats="HWC")
        with written_whole(self.output / stage / "strip.png") as beside:
            Image.fromarray(pixels).save(beside, format="PNG")

    def _close_board(self) -> None:
        if self.board is not None:
            with _naming(self.output / "tensorboard"):
                self.board.close()

    def _forget(self, stage: str, step: int) -> None:
        if not self.log.exists():
            return
        kept = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:  # the line that was being written when the run was killed
                continue
            if entry["stage"] != stage or (entry["step"] <= step and step):
                kept.append(line + "\n")
        write_whole(self.log, "".join(kept))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    # What the system says of a full disk names no file.
    try:
        yield
    except OSError as error:
        raise OSError(f"{path}: cannot be written: {error.strerror or error}") from error
