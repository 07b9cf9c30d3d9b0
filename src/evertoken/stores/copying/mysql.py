"""A whole store in a MariaDB or MySQL database."""

import contextlib
import functools
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from evertoken.clock import Clock
from evertoken.stores.copying.place import Trait, Version, told
from evertoken.stores.copying.rows import SessionRow
from evertoken.stores.copying.sql import SqlPlace, Values
from evertoken.stores.mysql.connection import Connection as Driver
from evertoken.stores.mysql.connection import connect, statement_limit, storable_or_none
from evertoken.stores.mysql.failures import FAILURES, refused_at_start, unavailable
from evertoken.stores.mysql.schema import VERSION_TABLE, VERSIONS
from evertoken.stores.mysql.statements import Sql, literal, written
from evertoken.stores.mysql.transaction import BEGIN, COMMIT, NOW, ROLLBACK

_RECENT: Final = SessionRow._fields.index("recent_rotations")
_INSTANT_BYTES: Final = 6
_TEXTS: Final = {
    SessionRow._fields.index(name): column
    for name, column in (
        ("username", "username"),
        ("created_address", "address"),
        ("created_device", "device"),
        ("refreshed_address", "address"),
        ("refreshed_device", "device"),
    )
}
_TABLE: Final = re.compile(r"\b(FROM|INTO|UPDATE|EXISTS) (\w+)")
_DURABLE: Final = {
    "innodb_flush_log_at_trx_commit": "a crash loses the sign-ins and sign-outs of about a second; set it to 1",
    "sync_binlog": "a crash may leave the replicas without the last commits; set it to 1",
}


class MysqlConnection:
    """One connection; statements may take as long as they need."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    async def fetch(self, sql: str, *values: Any) -> list[Sequence[Any]]:
        with told(FAILURES, unavailable):
            return list(await self.driver.fetch(_placed(sql), *values))

    async def run(self, sql: str, *values: Any) -> None:
        with told(FAILURES, unavailable):
            await self.driver.execute(_placed(sql), *values)

    async def run_each(self, sql: str, rows: Sequence[Values]) -> None:
        head, _, _ = _placed(sql).partition(" VALUES ")
        listed = ", ".join(literal(tuple(row)) for row in rows)
        with told(FAILURES, unavailable):
            await self.driver.execute(Sql(f"{written(head, self.driver.prefix)} VALUES {listed}"))

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        with told(FAILURES, unavailable):
            await self.driver.run(BEGIN)
        try:
            yield
        except BaseException:
            with contextlib.suppress(*FAILURES):
                await self.driver.run(ROLLBACK)
            raise
        with told(FAILURES, unavailable):
            await self.driver.run(COMMIT)

    async def close(self) -> None:
        self.driver.terminate()


class MysqlPlace(SqlPlace):
    """
    Implements `Place`.

    Args:
        clock: The time where a test says it; None for the database's own.
    """

    def __init__(self, connection: MysqlConnection, *, clock: Clock | None) -> None:
        super().__init__(connection)
        self._driver = connection.driver
        self._clock = clock

    @classmethod
    async def open(cls, location: str, *, prefix: str, clock: Clock | None) -> "MysqlPlace":
        """
        Connect.

        Raises:
            ConfigurationError: it cannot be reached, or refuses; the message never holds the password.
        """
        try:
            driver = await connect(location, prefix=prefix)
            await driver.run(statement_limit(is_mariadb=driver.is_mariadb, seconds=0))
        except (*FAILURES, ValueError, OverflowError) as error:
            raise refused_at_start(error, location) from (error if isinstance(error, FAILURES) else None)
        return cls(MysqlConnection(driver), clock=clock)

    async def version(self) -> Version:
        if not await self.has_table(VERSION_TABLE):
            return Version(None, VERSIONS[-1])
        rows = await self._connection.fetch(f"SELECT version_num FROM {VERSION_TABLE}")
        return Version(rows[0][0] if rows else None, VERSIONS[-1])

    async def traits(self, *, deep: bool) -> list[Trait]:
        del deep  # InnoDB checks its pages as it reads them
        found = []
        for name, risk in _DURABLE.items():
            value = await self._setting(name)
            is_needed = name != "sync_binlog" or await self._setting("log_bin") not in {"0", "OFF"}
            found.append(Trait("durability", f"{name} is {value}", risk if value != "1" and is_needed else ""))
        if await self._setting("read_only") not in {"0", "OFF"}:
            found.append(Trait("durability", "the database is read-only", "name the primary", is_fault=True))
        return found

    async def _setting(self, name: str) -> str:
        return str((await self._connection.fetch(f"SELECT @@{name}"))[0][0])

    async def now_ms(self) -> int:
        if self._clock is not None:
            return self._clock()
        with told(FAILURES, unavailable):
            return int(await self._driver.fetchval(f"SELECT {NOW}", None))

    def among(self, column: str, values: Sequence[Any], first: int = 0) -> tuple[str, Values]:
        return f"{column} IN {{{first}}}", [list(values)]

    def text(self, text: str | None) -> str | None:
        return storable_or_none(text)

    def session_of(self, row: Sequence[Any]) -> SessionRow:
        columns = list(row)
        raw = columns[_RECENT]
        columns[_RECENT] = tuple(
            int.from_bytes(raw[place : place + _INSTANT_BYTES], "big") for place in range(0, len(raw), _INSTANT_BYTES)
        )
        read = SessionRow(*columns)
        address: str | None = read.refreshed_address
        device: str | None = read.refreshed_device
        return read._replace(
            outcome=0,  # here it is the number of a batch as well
            refreshed_address=read.created_address if address is None else address,
            refreshed_device=read.created_device if device is None else device,
        )

    def columns_of(self, row: SessionRow) -> Values:
        columns: list[Any] = list(row._replace(outcome=0))
        instants = (max(at_ms, 0).to_bytes(_INSTANT_BYTES, "big") for at_ms in row.recent_rotations[:20])
        columns[_RECENT] = b"".join(instants)
        for place, column in _TEXTS.items():
            columns[place] = storable_or_none(columns[place], column)
        return columns

    async def raise_revocation(self, highest: int) -> None:
        await self._connection.run("UPDATE revocation_counter SET last = GREATEST(last, {0})", highest)

    async def has_table(self, name: str) -> bool:
        with told(FAILURES, unavailable):
            rows = await self._driver.fetch(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = $1",
                self._driver.prefix + name,
            )
        return bool(rows)


@functools.cache
def _placed(sql: str) -> str:
    """The statement as the store's own are written: tables as [sessions], values as $1; `key` is a word of MySQL's."""
    sql = _TABLE.sub(r"\1 [\2]", re.sub(r"\bkey\b", "`key`", sql))
    for number in range(sql.count("{")):
        sql = sql.replace(f"{{{number}}}", f"${number + 1}")
    return sql
