"""A whole store in an SQLite file."""

import contextlib
import functools
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

from evertoken.clock import Clock
from evertoken.errors import StoreUnavailable
from evertoken.stores.copying.place import CopyRefused, Trait, Version, told
from evertoken.stores.copying.rows import SessionRow
from evertoken.stores.copying.sql import STATE_TABLE, SqlPlace, Values
from evertoken.stores.sqlite.connection import APPLICATION_ID, LOCK_WAIT_SECONDS
from evertoken.stores.sqlite.naming import connecting, migrations, version_table

_RECENT: Final = SessionRow._fields.index("recent_rotations")


class SqliteConnection:
    """Runs statements on the thread that asks: nothing else is served by this process."""

    def __init__(self, path: Path, prefix: str, *, writes: bool) -> None:
        if not path.exists():
            raise CopyRefused(f"there is no database at {path}")
        try:
            self.raw = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw",
                uri=True,
                isolation_level=None,
                timeout=LOCK_WAIT_SECONDS,
                factory=connecting(prefix),
            )
            self.raw.execute("PRAGMA synchronous = FULL" if writes else "PRAGMA query_only = ON")
        except sqlite3.Error as error:
            raise CopyRefused(f"{path} cannot be opened: {error}") from error

    async def fetch(self, sql: str, *values: Any) -> list[Sequence[Any]]:
        with _told():
            return list(self.raw.execute(_placed(sql), values).fetchall())

    async def run(self, sql: str, *values: Any) -> None:
        with _told():
            self.raw.execute(_placed(sql), values)

    async def run_each(self, sql: str, rows: Sequence[Values]) -> None:
        with _told():
            self.raw.executemany(_placed(sql), rows)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        with _told():
            self.raw.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.raw.execute("ROLLBACK")
            raise
        with _told():
            self.raw.execute("COMMIT")

    async def close(self) -> None:
        self.raw.close()


class SqlitePlace(SqlPlace):
    """
    Implements `Place`.

    Args:
        clock: The store's clock, which is this machine's.
    """

    for_update = ""  # whoever writes has the file for itself
    highest_sql = "SELECT seq FROM sqlite_sequence WHERE name = 'revocations'"

    def __init__(self, path: Path, *, prefix: str, clock: Clock, writes: bool) -> None:
        self._path = path
        self._prefix = prefix
        self._clock = clock
        self._raw = SqliteConnection(path, prefix, writes=writes)
        super().__init__(self._raw)

    async def version(self) -> Version:
        newest = str(len(migrations()))
        if self._prefix:
            table = version_table(self._prefix)
            if not await self._has(table):
                return Version(None, newest)
            found = (await self._raw.fetch(f"SELECT max(version) FROM {table}"))[0][0]
        else:
            if (await self._raw.fetch("PRAGMA application_id"))[0][0] != APPLICATION_ID:
                return Version(None, newest)
            found = (await self._raw.fetch("PRAGMA user_version"))[0][0]
        return Version(str(found) if found else None, newest)

    async def traits(self, *, deep: bool) -> list[Trait]:
        mode = (await self._raw.fetch("PRAGMA journal_mode"))[0][0]
        told = f"journal mode {mode}; every commit is synced (synchronous = FULL on our connections)"
        wrong = "" if mode == "wal" else "the server turns it to WAL when it starts"
        found = [Trait("durability", told, wrong)]
        damage = [str(row[0]) for row in await self._raw.fetch("PRAGMA quick_check(3)")] if deep else ["ok"]
        if damage != ["ok"]:
            found.append(Trait("file", f"is damaged: {damage[0]}", "restore a backup", is_fault=True))
        return found

    async def now_ms(self) -> int:
        return self._clock()

    def session_of(self, row: Sequence[Any]) -> SessionRow:
        columns = list(row)
        columns[_RECENT] = tuple(int(at) for at in columns[_RECENT].split(",") if at)
        return SessionRow(*columns)

    def columns_of(self, row: SessionRow) -> Values:
        columns = list(row)
        columns[_RECENT] = "".join(f"{at_ms}," for at_ms in row.recent_rotations)
        return columns

    async def raise_revocation(self, highest: int) -> None:
        await self._raw.run("UPDATE sqlite_sequence SET seq = {0} WHERE name = 'revocations' AND seq < {0}", highest)
        await self._raw.run(
            "INSERT INTO sqlite_sequence (name, seq) SELECT 'revocations', {0}"
            " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'revocations')",
            highest,
        )

    async def has_table(self, name: str) -> bool:
        return await self._has(self._prefix + name)

    def state_table(self) -> str:
        return self._prefix + STATE_TABLE

    async def _has(self, name: str) -> bool:
        return bool(await self._raw.fetch("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = {0}", name))


def _placed(sql: str) -> str:
    """The statement as SQLite numbers its values, from 1."""
    for number in range(sql.count("{")):
        sql = sql.replace(f"{{{number}}}", f"?{number + 1}")
    return sql


def _ours(error: BaseException) -> StoreUnavailable:
    return StoreUnavailable(f"the database failed: {error}")


_told = functools.partial(told, (sqlite3.Error,), _ours)
