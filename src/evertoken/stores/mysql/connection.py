"""One connection: how it is opened, what is set on it, and how statements are run on it."""

import asyncio
from typing import Any

import asyncmy
from asyncmy import errors
from asyncmy.constants.CLIENT import FOUND_ROWS

from evertoken.stores.mysql.address import arguments
from evertoken.stores.mysql.failures import sorted_out
from evertoken.stores.mysql.statements import Sql, Value, written

CONNECT_WITHIN_SECONDS = 4.0

STATEMENT_WITHIN_SECONDS = 7
"""The server gives up on a statement before our caller does, so that nothing is committed behind a caller's back."""

LOCK_WITHIN_SECONDS = 5
"""How long a statement waits for a row that another transaction is writing, and for tables that are being changed."""

MAX_TEXT = {"user_id": 512, "username": 768, "client_id": 256, "address": 256, "device": 512}
"""Characters that the columns of these texts hold."""

Row = Any
"""A row of an answer; read by position, as the statement above it lists its columns."""


class Connection:
    """
    A connection over asyncmy.

    Args:
        prefix: What the names of our tables begin with.
    """

    def __init__(self, driver: Any, prefix: str) -> None:
        self._driver = driver
        self._cursor = driver.cursor()
        self.prefix = prefix

    @property
    def is_mariadb(self) -> bool:
        """MariaDB or MySQL, which differ in the names of a few settings."""
        return "mariadb" in str(self._driver.get_server_info()).lower()

    async def run(self, sql: str, *values: Value) -> list[tuple[int, list[Row]]]:
        """
        Run one statement or several, which go to the server in one packet.

        Args:
            sql: Names our tables as [sessions] and values as $1; an `Sql` is sent as it is.

        Returns:
            Of each statement, how many rows it found or gave, and the rows. Where one fails, those behind it are not
            run, and those before it have been.
        """
        results: list[tuple[int, list[Row]]] = []
        try:
            await self._cursor.execute(sql if isinstance(sql, Sql) else written(sql, self.prefix, values))
            while True:
                rows = list(await self._cursor.fetchall()) if self._cursor.description else []
                results.append((self._cursor.rowcount, rows))
                if not await self._cursor.nextset():
                    return results
        except errors.MySQLError as error:
            raise sorted_out(error) from error

    async def fetch(self, sql: str, *values: Value) -> list[Row]:
        """The rows of a statement; of several, those of the last."""
        return (await self.run(sql, *values))[-1][1]

    async def fetchrow(self, sql: str, *values: Value) -> Row | None:
        """Its first row."""
        return next(iter(await self.fetch(sql, *values)), None)

    async def fetchval(self, sql: str, *values: Value) -> Any:
        """The first column of its first row; None where there is none."""
        row = await self.fetchrow(sql, *values)
        return None if row is None else row[0]

    async def execute(self, sql: str, *values: Value) -> int:
        """How many rows a statement found to change, changed or not; of several, the last."""
        return (await self.run(sql, *values))[-1][0]

    def is_closed(self) -> bool:
        """Whether it cannot be used any more, as far as is known."""
        return bool(not self._driver.connected or self._driver._stream_broken)  # noqa: SLF001 - asyncmy's own pool asks it

    def terminate(self) -> None:
        """Let go of it at once; what was not committed is undone by the server."""
        self._driver.close()

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as asyncpg has it
        """Say goodbye to the server, then let go of it."""
        try:
            async with asyncio.timeout(timeout):
                await self._driver.ensure_closed()
        finally:
            self.terminate()


async def connect(location: str, *, prefix: str, lock_within_seconds: int = LOCK_WITHIN_SECONDS) -> Connection:
    """
    Open a connection that is ready for our statements.

    Args:
        prefix: What the names of our tables begin with.
        lock_within_seconds: How long a statement waits for a row that another transaction is writing; 1 at least.

    Raises:
        Exception: one of `failures.FAILURES`, or an AddressError.
    """
    async with asyncio.timeout(CONNECT_WITHIN_SECONDS):
        try:
            driver = await asyncmy.connect(
                **arguments(location),
                charset="utf8mb4",
                autocommit=True,
                client_flag=FOUND_ROWS,
                connect_timeout=CONNECT_WITHIN_SECONDS,
                program_name="evertoken",
            )
        except RuntimeError as error:  # over uvloop, of a connection that was reset before the driver looked at it
            raise ConnectionResetError(str(error)) from error
        connection = Connection(driver, prefix)
        try:
            await connection.run(_settings(connection, lock_within_seconds))
        except BaseException:
            connection.terminate()
            raise
    return connection


def collation(*, is_mariadb: bool) -> str:
    """Texts compare byte by byte, and a space at the end counts, as it does not in utf8mb4_bin."""
    return "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"


def _settings(connection: Connection, lock_within_seconds: int) -> str:
    settings = {
        # Too long or wrong is an error, never cut off silently; backslashes escape, as in statements.py.
        "sql_mode": "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
        "innodb_lock_wait_timeout": str(lock_within_seconds),
        "lock_wait_timeout": str(LOCK_WITHIN_SECONDS),
        "sql_notes": "0",  # the driver would ask what they say, and log it
    }
    listed = ", ".join(f"{name} = {value}" for name, value in settings.items())
    return (
        f"SET NAMES utf8mb4 COLLATE {collation(is_mariadb=connection.is_mariadb)}; SET SESSION {listed};"
        f" SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; {statement_limit(is_mariadb=connection.is_mariadb)}"
    )


def statement_limit(*, is_mariadb: bool, seconds: int = STATEMENT_WITHIN_SECONDS) -> Sql:
    """Sets after how long the server gives up on a statement; MySQL knows that of a SELECT only."""
    return Sql(
        f"SET SESSION max_statement_time = {seconds}"
        if is_mariadb
        else f"SET SESSION max_execution_time = {seconds}000"
    )


def storable(text: str, column: str | None = None) -> str:
    """A text as the database can keep it: without halves of surrogate pairs, and no longer than its column."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text if column is None else text[: MAX_TEXT[column]]


def storable_or_none(text: str | None, column: str | None = None) -> str | None:
    """The same, of a text that may be missing."""
    return None if text is None else storable(text, column)
