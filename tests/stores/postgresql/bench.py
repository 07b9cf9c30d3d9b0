"""The way into a PostgreSQL database around the store."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping

import asyncpg

from evertoken.sessions.rotation import RotationPolicy, Row
from evertoken.stores.postgresql import schema
from evertoken.stores.postgresql.connection import Connection
from evertoken.stores.postgresql.store import DEFAULT_SCHEMA, PostgresStore
from tests.stores.compliance.bench import ACCESS_LIFETIME_MS, POLICY, ServerBench
from tests.stores.sql_rows import READ_COLUMNS, TABLES, columns_of, row_of
from tests.support.clock import MovingClock


class PostgresBench(ServerBench):
    """Our schema in a database, emptied for each test."""

    def __init__(self, url: str, clock: MovingClock) -> None:
        super().__init__(clock)
        self.url = url
        self._opened: list[PostgresStore] = []
        self._own: Connection | None = None

    async def empty(self) -> None:
        """Make the tables if there are none, and leave nothing in them."""
        await schema.prepare(self.url, schema=DEFAULT_SCHEMA, may_create=True)
        async with self.connection() as connection:
            await connection.execute("".join(f"DELETE FROM {table};" for table in TABLES))
            await connection.execute("UPDATE revocation_counter SET last = 0")

    def open(
        self,
        *,
        policy: RotationPolicy = POLICY,
        sessions_per_user: int = 100,
        users_elsewhere: bool = False,
        by_its_own_clock: bool = False,
        url: str = "",
    ) -> PostgresStore:
        store = PostgresStore(
            url or self.url,
            clock=None if by_its_own_clock else self.clock,
            policy=policy,
            access_lifetime_ms=ACCESS_LIFETIME_MS,
            sessions_per_user=sessions_per_user,
            users_elsewhere=users_elsewhere,
        )
        self._opened.append(store)
        return store

    async def stop(self) -> None:
        for store in self._opened:
            await store.stop()
        self._opened.clear()
        if self._own is not None:
            self._own.terminate()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of the test's own."""
        if self._own is None or self._own.is_closed():
            self._own = await asyncpg.connect(self.url, server_settings={"search_path": DEFAULT_SCHEMA})
        yield self._own

    async def put_rows(self, rows: Mapping[bytes, Row]) -> None:
        async with self.connection() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO users (id, username, username_key, created_at_ms) VALUES ('u', 'U', 'u', 0)"
                " ON CONFLICT DO NOTHING"
            )
            await connection.execute("DELETE FROM sessions WHERE id = ANY($1::bytea[])", list(rows))
            await connection.executemany(
                "INSERT INTO sessions (id, user_id, username, user_epoch, client_id, delivery, tag, previous,"
                " generation, advanced_at_ms, idle_expires_at_ms, max_expires_at_ms, secret_id, created_at_ms,"
                " created_address, created_device, refreshed_at_ms, revoked_at_ms, revoked_reason)"
                " VALUES ($1, 'u', 'U', 0, 'web', 1, $2, $3, $4, $5, $6, $7, '', 0, '', '', 0, $8, $9)",
                [(session_id, *columns_of(row)) for session_id, row in rows.items()],
            )

    async def read_rows(self, session_ids: Iterable[bytes]) -> dict[bytes, Row]:
        async with self.connection() as connection:
            found = await connection.fetch(
                f"SELECT {READ_COLUMNS} FROM sessions WHERE id = ANY($1::bytea[])",
                list(session_ids),
            )
        return {row[0]: row_of(*list(row)[1:]) for row in found}

    async def count_rows(self) -> int:
        async with self.connection() as connection:
            return sum([await connection.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES])
