"""How long work comes along: a bar on a terminal, a line now and then elsewhere."""

from types import TracebackType
from typing import Final, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from evertoken.clock import monotonic_seconds

_LINE_EVERY_SECONDS: Final = 5.0


class Shown:
    """
    Shows stages of work on a stream; a context manager.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._done = 0
        self._total: int | None = None
        self._told_at = monotonic_seconds()

    def __enter__(self) -> Self:
        if not self._quiet and self._stream.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Progress(*columns, console=Console(file=self._stream))
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
        elif error is None:
            self._end_stage()

    def begin(self, stage: str, total: int | None) -> None:
        """A stage begins; its total where that is known."""
        if self._bars is not None:
            self._task = self._bars.add_task(stage, total=total)
            return
        self._end_stage()
        self._stage, self._done, self._total = stage, 0, total

    def advance(self, rows: int) -> None:
        """So many more are done."""
        if self._bars is not None:
            assert self._task is not None
            self._bars.advance(self._task, rows)
            return
        self._done += rows
        if monotonic_seconds() - self._told_at > _LINE_EVERY_SECONDS:
            self._line("" if self._total is None else f" of {self._total}")

    def _end_stage(self) -> None:
        if self._stage:
            self._line(" done")
        self._stage = ""

    def _line(self, rest: str) -> None:
        self._told_at = monotonic_seconds()
        if not self._quiet:
            print(f"{self._stage}: {self._done}{rest}", file=self._stream, flush=True)
