"""How the command line shows tables, instants and durations."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """
    Print a table: drawn on a terminal, tab-separated into a pipe.

    The first column, which other commands take, is never cut off.
    """
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            click.echo("\t".join(row))
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        drawn.add_column(column, no_wrap=number == 0, overflow="fold" if number else "ignore")
    for row in rows:
        drawn.add_row(*row)
    Console().print(drawn)


def when(at_ms: int | None) -> str:
    """An instant as people read it, in UTC to the second."""
    if at_ms is None:
        return "-"
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def how_long(duration_ms: int) -> str:
    """A duration as people say it."""
    seconds = duration_ms / 1000
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
