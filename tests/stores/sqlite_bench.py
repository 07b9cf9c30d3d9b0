"""The way into an SQLite database around the store."""

import contextlib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from evertoken.sessions.rotation import RotationPolicy, Row
from evertoken.stores.sqlite.store import SqliteStore
from tests.stores.compliance.bench import ACCESS_LIFETIME_MS, POLICY, Bench
from tests.stores.sql_rows import READ_COLUMNS, TABLES, columns_of, row_of
from tests.support.clock import MovingClock

_TABLE = re.compile(rf"\b(?:{'|'.join(TABLES)})\b")


class SqliteBench(Bench):
    """
    A database file in a folder of the test's own.

    Args:
        prefix: What our tables' names begin with.
    """

    def __init__(self, path: Path, clock: MovingClock, *, prefix: str = "") -> None:
        super().__init__(clock)
        self.path = path
        self.prefix = prefix
        self._opened: list[SqliteStore] = []

    def open(
        self, *, policy: RotationPolicy = POLICY, sessions_per_user: int = 100, users_elsewhere: bool = False
    ) -> SqliteStore:
        store = SqliteStore(
            self.path,
            clock=self.clock,
            policy=policy,
            access_lifetime_ms=ACCESS_LIFETIME_MS,
            sessions_per_user=sessions_per_user,
            table_prefix=self.prefix,
            users_elsewhere=users_elsewhere,
        )
        self._opened.append(store)
        return store

    def close(self) -> None:
        for store in self._opened:
            store.close()
        self._opened.clear()

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of the test's own; what it wrote is committed at the end."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            yield connection

    async def put_rows(self, rows: Mapping[bytes, Row]) -> None:
        with self.connection() as connection:
            connection.execute(
                self.named(
                    "INSERT OR IGNORE INTO users (id, username, username_key, created_at_ms) VALUES ('u', 'U', 'u', 0)"
                )
            )
            connection.executemany(
                self.named(
                    "INSERT OR REPLACE INTO sessions (id, user_id, username, user_epoch, client_id, delivery, tag,"
                    " previous, generation, advanced_at_ms, idle_expires_at_ms, max_expires_at_ms, secret_id,"
                    " created_at_ms, created_address, created_device, refreshed_at_ms, refreshed_address,"
                    " refreshed_device, revoked_at_ms, revoked_reason)"
                    " VALUES (?, 'u', 'U', 0, 'web', 1, ?, ?, ?, ?, ?, ?, x'', 0, '', '', 0, '', '', ?, ?)"
                ),
                [(session_id, *columns_of(row)) for session_id, row in rows.items()],
            )

    async def read_rows(self, session_ids: Iterable[bytes]) -> dict[bytes, Row]:
        wanted = set(session_ids)
        with self.connection() as connection:
            found = connection.execute(self.named(f"SELECT {READ_COLUMNS} FROM sessions")).fetchall()
        return {session_id: row_of(*columns) for session_id, *columns in found if session_id in wanted}

    async def count_rows(self) -> int:
        with self.connection() as connection:
            return sum(
                connection.execute(f"SELECT count(*) FROM {self.prefix}{table}").fetchone()[0] for table in TABLES
            )

    def named(self, sql: str) -> str:
        """A statement over our tables, under the names that they have in this file."""
        return _TABLE.sub(lambda found: self.prefix + found[0], sql)
