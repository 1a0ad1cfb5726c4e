"""What a person sees while training: a bar within the epoch, a line after it. Bars on a terminal only."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

if TYPE_CHECKING:
    from shortlist.training.trainer import EpochRecord


class Progress:
    """Reports to standard error.

    Args:
        per_epoch: targets in one epoch, the length of the bar.
        figure: name of the validation figure.
        console: where to write; None: nowhere.
    """

    def __init__(self, per_epoch: int = 1, figure: str = "", console: Console | None = None) -> None:
        self.per_epoch, self.figure, self.console = per_epoch, figure, console
        self._seen = 0
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Progress:
        if self.console is not None and self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeRemainingColumn(),
            )
            self._bar = RichProgress(*columns, console=self.console, transient=True)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def batch_ended(self, epoch: int, loss: float, targets: int) -> None:
        """Advance the bar."""
        self._seen += targets
        if self._bar is None:
            return
        if self._task is None:
            self._task = self._bar.add_task("", total=self.per_epoch)
        self._bar.update(self._task, description=f"epoch {epoch:>3}  loss {loss:.4f}", advance=targets)

    def epoch_ended(self, record: EpochRecord, *, is_best: bool) -> None:
        """Write the epoch's line."""
        if self._bar is not None and self._task is not None:
            self._bar.reset(self._task, total=self._seen)  # of a long log an epoch is a part, which the first one shows
        self._seen = 0
        figure = ""
        if record.validation is not None:
            figure = f"  validation {self.figure} {record.validation:.4f}{'  ← best so far' if is_best else ''}"
        self.note(f"epoch {record.epoch:>3}  {record.seconds:>5.1f} s  loss {record.loss:.4f}{figure}")

    def note(self, text: str) -> None:
        """Write one line."""
        if self.console is not None:
            self.console.print(text, highlight=False)
