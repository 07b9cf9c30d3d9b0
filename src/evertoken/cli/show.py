"""How the command line shows tables, instants and durations."""

import sys
from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table

from evertoken.spoken import how_long, when

__all__ = ["how_long", "table", "when"]


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
