"""
The database file under its name: it may be deleted, replaced or restored while we have it open.

A deleted file lives on unseen while it is open: commits to it would be acknowledged and lost. And a file that was
put in its place must not be read through the log of the one before: SQLite cannot tell, and mixes the two.
"""

import contextlib
import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from evertoken.errors import StoreUnavailable

_log = logging.getLogger(__name__)

_Identity = tuple[int, int]
_HOLD = getattr(os, "O_PATH", None)


class _Pin:
    """
    Which file had a name, held so that its inode number is given to no other meanwhile.

    Held by O_PATH where there is one (Linux): closing any other descriptor would drop SQLite's own locks.
    """

    def __init__(self, path: Path) -> None:
        self._held = None if _HOLD is None else os.open(path, _HOLD | os.O_CLOEXEC)
        self.identity = _identity(path.stat() if self._held is None else os.fstat(self._held))

    def close(self) -> None:
        if self._held is not None:
            os.close(self._held)
        self._held = None


class DatabaseFile:
    """One connection to a database file, opened anew when the file was replaced or an error made it doubtful."""

    def __init__(self, path: Path, opener: Callable[[Path], sqlite3.Connection]) -> None:
        self._path = path
        self._log_path = Path(f"{path}-wal")
        self._opener = opener
        self._connection: sqlite3.Connection | None = None
        self._database: _Pin | None = None
        self._log: _Pin | None = None

    def connection(self) -> sqlite3.Connection:
        """
        The connection, to the file that has the name now.

        Raises:
            StoreUnavailable: there is none, or it cannot be opened.
        """
        try:
            identity = _identity(os.stat(self._path))  # noqa: PTH116 - Path.stat costs three times as much, at every commit
        except OSError as error:
            self.close()
            raise StoreUnavailable("the database file is gone") from error
        was_replaced = self._database is not None and identity != self._database.identity
        if self._connection is None or was_replaced:
            self.close()
            if was_replaced:
                self._remove_log_of_the_one_before()
            self._connection = self._open()
        return self._connection

    def close(self) -> None:
        """Let go of the connection; which file it was is remembered."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def forget(self) -> None:
        """Close for good."""
        self.close()
        for pin in (self._database, self._log):
            if pin is not None:
                pin.close()
        self._database = self._log = None

    def _open(self) -> sqlite3.Connection:
        try:
            with contextlib.ExitStack() as undo:
                database = _Pin(self._path)
                undo.callback(database.close)
                connection = self._opener(self._path)
                undo.callback(connection.close)
                log = _Pin(self._log_path)
                undo.callback(log.close)
                if _identity(self._path.stat()) != database.identity:
                    raise StoreUnavailable("the database file was replaced while it was opened")
                undo.pop_all()
        except OSError as error:
            raise StoreUnavailable(f"the database file cannot be opened: {error}") from error
        self.forget()
        self._database, self._log = database, log
        return connection

    def _remove_log_of_the_one_before(self) -> None:
        if self._log is None:
            return
        try:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                # Other workers come here too: none may remove the log that another has begun for the new file.
                fcntl.flock(folder, fcntl.LOCK_EX)
                with contextlib.suppress(FileNotFoundError):
                    if _identity(self._log_path.stat()) == self._log.identity:
                        _log.warning("%s was replaced: removing the log of the database before it", self._path)
                        Path(f"{self._path}-shm").unlink(missing_ok=True)
                        self._log_path.unlink()
            finally:
                os.close(folder)
        except OSError as error:
            raise StoreUnavailable(f"the log of the database that was replaced cannot be removed: {error}") from error


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino
