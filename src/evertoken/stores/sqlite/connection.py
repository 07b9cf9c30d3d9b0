"""Opening the database file: pragmas, migrations, and telling our file from another's."""

import contextlib
import functools
import os
import sqlite3
from importlib import resources
from pathlib import Path

from evertoken.errors import ConfigurationError, StoreUnavailable

APPLICATION_ID = 0x45565254  # "EVRT", in the file's header, so that `file` and we can tell whose it is
LOCK_WAIT_SECONDS = 5.0


@functools.cache
def migrations() -> tuple[str, ...]:
    """The scripts in order; a database at version n has run the first n."""
    folder = resources.files("evertoken.stores.sqlite").joinpath("migrations")
    return tuple(entry.read_text("utf-8") for entry in sorted(folder.iterdir(), key=lambda e: e.name))


def prepare(path: Path, *, may_create: bool = True) -> None:
    """
    Create the database if there is none, and bring it to this version's schema.

    Args:
        may_create: False where a database must be there already.

    Raises:
        ConfigurationError: the path cannot be used: not a folder we may write to, a file of another program,
            or a schema from a newer evertoken.
    """
    if not may_create and not path.exists():
        raise ConfigurationError("store", f"{path} is gone; put it back and start again")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Created by us with its mode, for SQLite would create it readable by everybody.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with contextlib.closing(_connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            _migrate(connection, path)
    except (OSError, sqlite3.Error) as error:
        raise ConfigurationError("store", f"cannot use {path} as the database: {error}") from error


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    scripts = migrations()
    connection.execute("BEGIN IMMEDIATE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    is_empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if owner != APPLICATION_ID and not is_empty:
        raise ConfigurationError("store", f"{path} is the database of another program; choose another file")
    if version > len(scripts):
        raise ConfigurationError(
            "store", f"{path} was written by a newer evertoken (schema {version}, this one knows {len(scripts)})"
        )
    for script in scripts[version:]:
        for statement in filter(None, map(str.strip, _statements(script))):
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(scripts)}")
    connection.execute("COMMIT")


def _statements(script: str) -> list[str]:
    """Split a migration at the semicolons that end a statement (a comment may hold one)."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if line.split("--")[0].rstrip().endswith(";") and sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return [*statements, pending] if pending.strip() else statements


def open_for_writing(path: Path) -> sqlite3.Connection:
    """
    A connection whose commits are on the disk when they return.

    Raises:
        StoreUnavailable: the file is gone or cannot be opened. It is never created here: an empty database in
            place of a lost one would sign everybody out.
    """
    return _open(
        path,
        # WAL with FULL: the log is synced at every commit (NORMAL would lose acknowledged commits at a power cut).
        "PRAGMA synchronous = FULL",
        "PRAGMA journal_size_limit = 67108864",
        "PRAGMA busy_timeout = 0",  # the worker waits for the lock itself, more fairly
    )


def open_for_reading(path: Path) -> sqlite3.Connection:
    """
    A connection that cannot write.

    Raises:
        StoreUnavailable: as for writing.
    """
    return _open(path, "PRAGMA query_only = ON")


def _open(path: Path, *pragmas: str) -> sqlite3.Connection:
    if not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        # SQLite would open it for reading, and make a log beside it that may not be written either, ever.
        raise StoreUnavailable("the database file may not be written")
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(path)
        _check_ours(connection)
        connection.execute("PRAGMA journal_mode = WAL")  # a restored backup may have another (VACUUM INTO sees to it)
        for pragma in pragmas:
            connection.execute(pragma)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # reads the file, which opens its log
    except (sqlite3.Error, StoreUnavailable) as error:
        if connection is not None:
            connection.close()
        raise StoreUnavailable(f"the database cannot be opened: {error}") from error
    return connection


def rewrite_version(connection: sqlite3.Connection) -> None:
    """Write the schema version that is there: proof that the disk takes a write, which the lock alone is not."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.execute(f"PRAGMA user_version = {version}")


def _check_ours(connection: sqlite3.Connection) -> None:
    """Refuse what was put in place of the database while we ran; nothing is written to it, not even a log."""
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if (owner, version) != (APPLICATION_ID, len(migrations())):
        raise StoreUnavailable("the file is no database of this evertoken: restart to bring an older one up to date")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=LOCK_WAIT_SECONDS,
        cached_statements=256,
    )
