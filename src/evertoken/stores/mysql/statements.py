"""
Statements with their values, as text: MySQL's protocol takes several statements in one packet only without parameters.

The SQL of this folder names our tables as [sessions] and values as $1, $2. Every value is written down here, and
nowhere else: numbers as digits, bytes in hexadecimal, texts in quotes as sql_mode and the character set of our
connections want them (see connection.py).
"""

import functools
import re
from collections.abc import Sequence

_MARK = re.compile(r"\$(\d+)|\[(\w+)\]")


class Sql(str):
    """A piece of a statement, written by this module; stands in it as it is."""

    __slots__ = ()


Plain = None | int | str | bytes
Value = Plain | Sequence[Plain]
"""What stands for $1; several of them stand as a list."""


def literal(value: Value) -> str:
    """
    A value as it stands in a statement; several as a list in brackets, which matches nothing when it is empty.

    Raises:
        TypeError: no value that a column of ours can have.
    """
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, str):
        return value if isinstance(value, Sql) else _quoted(value)
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(int(value))  # also of a bool
    if isinstance(value, Sequence):
        return f"({','.join(map(literal, value)) or 'NULL'})"
    raise TypeError(f"{type(value).__name__} is no value for a column")


def _quoted(text: str) -> str:
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if "'" in text:
        text = text.replace("'", "\\'")
    if "\0" in text:
        text = text.replace("\0", "\\0")
    return f"'{text}'"


@functools.lru_cache(maxsize=512)
def _pieces(sql: str, prefix: str) -> tuple[tuple[str, int], ...]:
    """What stands before each value, and the place of that value; -1 at the end."""
    pieces: list[tuple[str, int]] = []
    text, begin = "", 0
    for mark in _MARK.finditer(sql):
        text += sql[begin : mark.start()]
        begin = mark.end()
        if mark[2] is not None:
            text += f"`{prefix}{mark[2]}`"
        else:
            pieces.append((text, int(mark[1]) - 1))
            text = ""
    return (*pieces, (text + sql[begin:], -1))


def written(sql: str, prefix: str, values: Sequence[Value] = ()) -> Sql:
    """
    The statement with these values, and with this prefix before the names of our tables.

    Args:
        values: For $1, $2 and so on.
    """
    texts = [literal(value) for value in values]
    return Sql("".join(text + (texts[place] if place >= 0 else "") for text, place in _pieces(sql, prefix)))


def table(columns: Sequence[str], rows: Sequence[Sequence[Plain]]) -> Sql:
    """A derived table of these rows, to stand in brackets; there must be one row at least."""
    first, *others = rows
    # The first one names the columns; their types follow from all.
    named = ",".join(f"{literal(value)} AS {column}" for column, value in zip(columns, first, strict=True))
    return Sql(" UNION ALL ".join([f"SELECT {named}", *("SELECT " + ",".join(map(literal, row)) for row in others)]))
