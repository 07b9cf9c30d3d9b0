"""
Our tables in a file that belongs to the host application: each name gets a prefix, and no other table is touched.

The SQL of this folder is written with plain names. A connection to a host's file puts the prefix before every name
that the migrations create, and SQLite itself refuses, as it compiles a statement, whatever would read or write a
table that is not ours: a name that was missed fails, it never reaches the host's `users`.
"""

import functools
import re
import sqlite3
from collections.abc import Callable, Iterable
from importlib import resources
from typing import Any

_CREATED = re.compile(r"^CREATE (?:TABLE|INDEX) (\w+)", re.MULTILINE)

_OF_SQLITE = frozenset({"sqlite_master", "sqlite_sequence", "json_each"})

_WITH_A_TABLE = frozenset(
    {
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_INSERT,
        sqlite3.SQLITE_UPDATE,
        sqlite3.SQLITE_DELETE,
        sqlite3.SQLITE_CREATE_TABLE,
        sqlite3.SQLITE_CREATE_INDEX,
        sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_DROP_INDEX,
    }
)
"""What SQLite asks about with the name of a table or of an index first."""

_WITH_A_TABLE_LATER = frozenset({sqlite3.SQLITE_ALTER_TABLE})


@functools.cache
def migrations() -> tuple[str, ...]:
    """The scripts in order; a database at version n has run the first n."""
    folder = resources.files("evertoken.stores.sqlite").joinpath("migrations")
    return tuple(entry.read_text("utf-8") for entry in sorted(folder.iterdir(), key=lambda e: e.name))


@functools.cache
def own_names() -> frozenset[str]:
    """Every table and index that the migrations create, without a prefix."""
    return frozenset(name for script in migrations() for name in _CREATED.findall(script))


def version_table(prefix: str) -> str:
    """The table that holds the schema's version in a host's file, whose `user_version` is the host's."""
    return f"{prefix}schema"


class PrefixedConnection(sqlite3.Connection):
    """A connection whose statements name our tables without their prefix. `connecting` makes them."""

    _renamed: Callable[[str], str]

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """As of the class above, under our names."""
        return super().execute(self._renamed(sql), parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """As of the class above, under our names."""
        return super().executemany(self._renamed(sql), parameters)


@functools.cache
def connecting(prefix: str) -> type[sqlite3.Connection]:
    """What makes a connection to a file in which our names have this prefix; the plain one where there is none."""
    if not prefix:
        return sqlite3.Connection
    names = re.compile(rf"\b(?:{'|'.join(sorted(own_names()))})\b")

    @functools.cache  # of some dozens of statements, each asked for again and again
    def renamed(sql: str) -> str:
        return names.sub(lambda found: prefix + found[0], sql)

    return type("PrefixedConnection", (PrefixedConnection,), {"_renamed": staticmethod(renamed)})


def keep_to_own_tables(connection: sqlite3.Connection, prefix: str) -> None:
    """Let this connection touch no table but ours; a statement that would fails, with "not authorized"."""
    ours = {prefix + name for name in own_names()} | {version_table(prefix)} | _OF_SQLITE

    def may(action: int, first: str | None, second: str | None, _database: str | None, trigger: str | None) -> int:
        if trigger is not None:  # the host's own, on one of our tables
            return sqlite3.SQLITE_OK
        touched = first if action in _WITH_A_TABLE else second if action in _WITH_A_TABLE_LATER else None
        if touched is None or touched in ours or touched.startswith("sqlite_autoindex_"):
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    connection.set_authorizer(may)
