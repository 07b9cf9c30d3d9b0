"""The way into a MariaDB database around the store."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from evertoken.sessions.rotation import RotationPolicy, Row
from evertoken.stores.mysql import schema
from evertoken.stores.mysql.connection import Connection, connect
from evertoken.stores.mysql.statements import Sql, literal
from evertoken.stores.mysql.store import MysqlStore
from tests.stores.compliance.bench import ACCESS_LIFETIME_MS, POLICY, ServerBench
from tests.stores.sql_rows import READ_COLUMNS, TABLES, columns_of, row_of
from tests.support.clock import MovingClock


class MariadbBench(ServerBench):
    """Our tables in a database, emptied for each test."""

    def __init__(self, url: str, clock: MovingClock, *, admin_url: str) -> None:
        super().__init__(clock)
        self.url = url
        self.admin_url = admin_url
        self._opened: list[MysqlStore] = []
        self._own: Connection | None = None

    async def empty(self) -> None:
        """Make the tables if there are none, and leave nothing in them."""
        await schema.prepare(self.url, prefix="", may_create=True)
        async with self.connection() as connection:
            await connection.run("; ".join(f"DELETE FROM [{table}]" for table in TABLES))
            await connection.run("UPDATE [revocation_counter] SET last = 0")

    def open(
        self,
        *,
        policy: RotationPolicy = POLICY,
        sessions_per_user: int = 100,
        users_elsewhere: bool = False,
        by_its_own_clock: bool = False,
        url: str = "",
    ) -> MysqlStore:
        store = MysqlStore(
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
            self._own = await connect(self.url, prefix="")
        yield self._own

    async def until_somebody_waits(self) -> None:
        """Until a transaction waits for a row that another one holds."""
        waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        admin = await connect(self.admin_url, prefix="")
        try:
            async with asyncio.timeout(30):
                while not await admin.fetchval(waiting):
                    await asyncio.sleep(0.15)  # asked more often, the server says again what it said before
        finally:
            admin.terminate()

    async def put_rows(self, rows: Mapping[bytes, Row]) -> None:
        values = ", ".join(
            f"({literal(session_id)}, 'u', 'U', 0, 'web', 1, {literal(_columns(row))[1:-1]}, x'', 0, '', '', 0)"
            for session_id, row in rows.items()
        )
        async with self.connection() as connection:
            await connection.run(
                "INSERT IGNORE INTO [users] (id, username, username_key, roles, created_at_ms)"
                " VALUES ('u', 'U', 'u', '[]', 0); DELETE FROM [sessions] WHERE id IN $1",
                list(rows),
            )
            await connection.run(
                "INSERT INTO [sessions] (id, user_id, username, user_epoch, client_id, delivery, tag, previous,"
                " generation, advanced_at_ms, idle_expires_at_ms, max_expires_at_ms, revoked_at_ms, revoked_reason,"
                " secret_id, created_at_ms, created_address, created_device, refreshed_at_ms) VALUES $1",
                Sql(values),
            )

    async def read_rows(self, session_ids: Iterable[bytes]) -> dict[bytes, Row]:
        async with self.connection() as connection:
            found = await connection.fetch(f"SELECT {READ_COLUMNS} FROM [sessions] WHERE id IN $1", list(session_ids))
        return {row[0]: row_of(*row[1:]) for row in found}

    async def count_rows(self) -> int:
        async with self.connection() as connection:
            return sum([await connection.fetchval(f"SELECT COUNT(*) FROM [{table}]") for table in TABLES])


def _columns(row: Row) -> Any:
    return columns_of(row)
