"""Opening the database file: pragmas, migrations, and telling our file from another's."""

import contextlib
import logging
import os
import sqlite3
from pathlib import Path

from evertoken.errors import ConfigurationError, StoreUnavailable
from evertoken.stores.sqlite.naming import connecting, keep_to_own_tables, migrations, version_table

_log = logging.getLogger(__name__)

APPLICATION_ID = 0x45565254  # "EVRT", in the file's header, so that `file` and we can tell whose it is
LOCK_WAIT_SECONDS = 5.0


def prepare(path: Path, *, prefix: str = "", may_create: bool = True) -> None:
    """
    Create the database if there is none, and bring our tables to this version's schema.

    Args:
        prefix: What our tables' names begin with in a file of the host application's; empty for a file of our own.
        may_create: False where a database must be there already.

    Raises:
        ConfigurationError: the path cannot be used: not a folder we may write to, a file of another program,
            or a schema from a newer evertoken.
    """
    if not may_create and not path.exists():
        raise ConfigurationError("store", f"{path} is gone; put it back and start again")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(path)
        with contextlib.closing(_connect(path, prefix)) as connection:
            _refuse_the_wrong_file(connection, path, prefix)
            _turn_to_wal(connection, path, is_shared=bool(prefix))
            if prefix:
                keep_to_own_tables(connection, prefix)
            _migrate(connection, path, prefix)
    except (OSError, sqlite3.Error) as error:
        raise ConfigurationError("store", f"cannot use {path} as the database: {error}") from error


def _create(path: Path) -> None:
    """Make the file if there is none, by us with its mode, for SQLite would create it readable by everybody."""
    # Not opened where it is there: closing it again would drop the locks that this process, the host application's
    # part of it perhaps, holds on it through SQLite.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _refuse_the_wrong_file(connection: sqlite3.Connection, path: Path, prefix: str) -> None:
    """Before anything is written: a host's file without a prefix, and a file of our own with one."""
    connection.execute("BEGIN")  # another worker may be making our tables at this moment
    is_own = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    is_empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    connection.execute("ROLLBACK")
    if prefix and is_own:
        raise ConfigurationError(
            "table_prefix", f"{path} is a database of evertoken's own, whose tables have none; leave it empty"
        )
    if not prefix and not is_own and not is_empty:
        raise ConfigurationError(
            "store",
            f"{path} is the database of another program; choose another file, or set table_prefix to share it",
        )


def _turn_to_wal(connection: sqlite3.Connection, path: Path, *, is_shared: bool) -> None:
    """The journal mode stands in the file and holds for whoever uses it, so a host is told where it was another."""
    before = connection.execute("PRAGMA journal_mode").fetchone()[0]
    after = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if after != "wal":
        raise ConfigurationError("store", f"{path} cannot be put into WAL mode: it stays {after}")
    if is_shared and before != after:
        _log.warning("%s was in journal mode %s and is in WAL mode from now on, for every program", path, before)


def _migrate(connection: sqlite3.Connection, path: Path, prefix: str) -> None:
    scripts = migrations()
    connection.execute("BEGIN IMMEDIATE")
    if prefix:
        table = version_table(prefix)
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (version INTEGER NOT NULL) STRICT")
        found = connection.execute(f"SELECT version FROM {table}").fetchone()
        version = 0 if found is None else found[0]
    else:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(scripts):
        raise ConfigurationError(
            "store", f"{path} was written by a newer evertoken (schema {version}, this one knows {len(scripts)})"
        )
    for script in scripts[version:]:
        for statement in filter(None, map(str.strip, _statements(script))):
            connection.execute(statement)
    if prefix:
        connection.execute(f"DELETE FROM {version_table(prefix)}")
        connection.execute(f"INSERT INTO {version_table(prefix)} (version) VALUES (?)", (len(scripts),))
    else:
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


def open_for_writing(path: Path, prefix: str = "") -> sqlite3.Connection:
    """
    A connection whose commits are on the disk when they return.

    Raises:
        StoreUnavailable: the file is gone or cannot be opened. It is never created here: an empty database in
            place of a lost one would sign everybody out.
    """
    return _open(
        path,
        prefix,
        # WAL with FULL: the log is synced at every commit (NORMAL would lose acknowledged commits at a power cut).
        "PRAGMA synchronous = FULL",
        "PRAGMA journal_size_limit = 67108864",
        "PRAGMA busy_timeout = 0",  # the worker waits for the lock itself, more fairly
    )


def open_for_reading(path: Path, prefix: str = "") -> sqlite3.Connection:
    """
    A connection that cannot write.

    Raises:
        StoreUnavailable: as for writing.
    """
    return _open(path, prefix, "PRAGMA query_only = ON")


def _open(path: Path, prefix: str, *pragmas: str) -> sqlite3.Connection:
    if not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        # SQLite would open it for reading, and make a log beside it that may not be written either, ever.
        raise StoreUnavailable("the database file may not be written")
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(path, prefix)
        _check_ours(connection, prefix)
        if prefix:
            keep_to_own_tables(connection, prefix)
        connection.execute("PRAGMA journal_mode = WAL")  # a restored backup may have another (VACUUM INTO sees to it)
        for pragma in pragmas:
            connection.execute(pragma)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # reads the file, which opens its log
    except (sqlite3.Error, StoreUnavailable) as error:
        if connection is not None:
            connection.close()
        raise StoreUnavailable(f"the database cannot be opened: {error}") from error
    return connection


def rewrite_version(connection: sqlite3.Connection, prefix: str = "") -> None:
    """Write the schema version that is there: proof that the disk takes a write, which the lock alone is not."""
    if prefix:
        connection.execute(f"UPDATE {version_table(prefix)} SET version = version")
        return
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.execute(f"PRAGMA user_version = {version}")


def _check_ours(connection: sqlite3.Connection, prefix: str) -> None:
    """Refuse what was put in place of the database while we ran; nothing is written to it, not even a log."""
    if prefix:
        found = connection.execute(f"SELECT max(version) FROM {version_table(prefix)}").fetchone()[0]
    else:
        is_own = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        found = connection.execute("PRAGMA user_version").fetchone()[0] if is_own else None
    if found != len(migrations()):
        raise StoreUnavailable("the file is no database of this evertoken: restart to bring an older one up to date")


def _connect(path: Path, prefix: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=LOCK_WAIT_SECONDS,
        cached_statements=256,
        factory=connecting(prefix),
    )
