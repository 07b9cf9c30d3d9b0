"""A whole store in a PostgreSQL database."""

import contextlib
import functools
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from evertoken.clock import Clock
from evertoken.errors import ConfigurationError
from evertoken.store_address import shown
from evertoken.stores.copying.place import Trait, Version, told
from evertoken.stores.copying.rows import SessionRow
from evertoken.stores.copying.sql import SqlPlace, Values
from evertoken.stores.postgresql.connection import Connection as Driver
from evertoken.stores.postgresql.connection import connect, storable_or_none
from evertoken.stores.postgresql.failures import FAILURES, refused_at_start, unavailable
from evertoken.stores.postgresql.schema import OLDEST_SERVER, VERSION_TABLE, VERSIONS

_RECENT: Final = SessionRow._fields.index("recent_rotations")
_INSTANT_BYTES: Final = 6
_TEXTS: Final = [
    SessionRow._fields.index(name)
    for name in ("username", "created_address", "created_device", "refreshed_address", "refreshed_device")
]
_DURABLE: Final = {
    "fsync": "a crash of the machine may damage the database",
    "full_page_writes": "a crash of the machine may damage the database",
}


class PostgresConnection:
    """One connection; statements may take as long as they need."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def fetch(self, sql: str, *values: Any) -> list[Sequence[Any]]:
        with told(FAILURES, unavailable):
            return [tuple(row) for row in await self._driver.fetch(_placed(sql), *values)]

    async def run(self, sql: str, *values: Any) -> None:
        with told(FAILURES, unavailable):
            await self._driver.execute(_placed(sql), *values)

    async def run_each(self, sql: str, rows: Sequence[Values]) -> None:
        with told(FAILURES, unavailable):
            await self._driver.executemany(_placed(sql), rows)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        with told(FAILURES, unavailable):
            async with self._driver.transaction():
                yield

    async def close(self) -> None:
        self._driver.terminate()


class PostgresPlace(SqlPlace):
    """
    Implements `Place`.

    Args:
        clock: The time where a test says it; None for the database's own.
    """

    def __init__(self, connection: PostgresConnection, *, schema: str, clock: Clock | None) -> None:
        super().__init__(connection)
        self._schema = schema
        self._clock = clock

    @classmethod
    async def open(cls, location: str, *, schema: str, clock: Clock | None) -> "PostgresPlace":
        """
        Connect.

        Raises:
            ConfigurationError: it cannot be reached, or refuses; the message never holds the password.
        """
        try:
            driver = await connect(location, schema=schema)
            # No sequential scans here either: a plan made for a target's empty table would walk it at each step.
            await driver.execute("SET statement_timeout = 0")
        except (*FAILURES, ValueError, OverflowError) as error:
            raise refused_at_start(error, location) from (error if isinstance(error, FAILURES) else None)
        place = cls(PostgresConnection(driver), schema=schema, clock=clock)
        number = int((await place._connection.fetch("SELECT current_setting('server_version_num')"))[0][0])
        if number < OLDEST_SERVER:
            await place.close()
            raise ConfigurationError("store", f"{shown(location)}: PostgreSQL 13 is the oldest that will do")
        return place

    async def version(self) -> Version:
        if not await self.has_table(VERSION_TABLE):
            return Version(None, VERSIONS[-1])
        rows = await self._connection.fetch(f"SELECT version_num FROM {VERSION_TABLE}")
        return Version(rows[0][0] if rows else None, VERSIONS[-1])

    async def traits(self, *, deep: bool) -> list[Trait]:
        del deep  # PostgreSQL looks after its own pages: data_checksums, amcheck
        found = []
        for name, risk in _DURABLE.items():
            value = await self._setting(name)
            found.append(Trait("durability", f"{name} is {value}", "" if value == "on" else f"{risk}; set it to on"))
        ours = await self._setting("synchronous_commit")
        standbys = await self._setting("synchronous_standby_names")
        copies = f"waits for {standbys}" if standbys else "waits for no standby: a failover loses the last commits"
        found.append(Trait("durability", f"synchronous_commit is {ours} on our connections, which {copies}"))
        if await self._setting("transaction_read_only") == "on":
            found.append(Trait("durability", "the database is read-only", "name the primary", is_fault=True))
        return found

    async def _setting(self, name: str) -> str:
        return str((await self._connection.fetch("SELECT current_setting({0})", name))[0][0])

    async def now_ms(self) -> int:
        if self._clock is not None:
            return self._clock()
        sql = "SELECT floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint"
        return int((await self._connection.fetch(sql))[0][0])

    def among(self, column: str, values: Sequence[Any], first: int = 0) -> tuple[str, Values]:
        return f"{column} = ANY({{{first}}})", [list(values)]

    def text(self, text: str | None) -> str | None:
        return storable_or_none(text)

    def session_of(self, row: Sequence[Any]) -> SessionRow:
        columns = list(row)
        raw = columns[_RECENT]
        columns[_RECENT] = tuple(
            int.from_bytes(raw[place : place + _INSTANT_BYTES], "big") for place in range(0, len(raw), _INSTANT_BYTES)
        )
        read = SessionRow(*columns)
        return read._replace(
            refreshed_address=_or(read.refreshed_address, read.created_address),
            refreshed_device=_or(read.refreshed_device, read.created_device),
        )

    def columns_of(self, row: SessionRow) -> Values:
        columns: list[Any] = list(row)
        columns[_RECENT] = b"".join(max(at_ms, 0).to_bytes(_INSTANT_BYTES, "big") for at_ms in row.recent_rotations)
        for place in _TEXTS:
            columns[place] = self.text(columns[place])
        return columns

    async def raise_revocation(self, highest: int) -> None:
        await self._connection.run("UPDATE revocation_counter SET last = greatest(last, {0})", highest)

    async def has_table(self, name: str) -> bool:
        rows = await self._connection.fetch(
            "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = {0} AND tablename = {1}", self._schema, name
        )
        return bool(rows)


def _or(there: Any, otherwise: str) -> str:
    return otherwise if there is None else there


@functools.cache
def _placed(sql: str) -> str:
    """The statement as PostgreSQL numbers its values, from 1."""
    for number in range(sql.count("{")):
        sql = sql.replace(f"{{{number}}}", f"${number + 1}")
    return sql
