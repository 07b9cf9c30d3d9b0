"""MariaDB with millions of sessions."""

import contextlib
import itertools
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncmy

from bench import mariadb
from bench.millions.filling import ACCESS_LIFETIME_MS, POLICY, Plans, Weight
from bench.millions.people import (
    CLIENT,
    EVENT_COLUMNS,
    SECRET_ID,
    USER_COLUMNS,
    Person,
    event_rows,
    in_passes,
    session,
    session_id,
    user_id,
    user_rows,
    users_of,
)
from evertoken.sessions.model import RotationRequest, RotationResult
from evertoken.stores.mysql import connection as mysql_connection
from evertoken.stores.mysql.statements import Sql, written
from evertoken.stores.mysql.store import MysqlStore

_AT_ONCE = 2_000
_ROWS_OF_A_PAGE = 1_000
_SESSIONS = (
    *("id", "user_id", "username", "user_epoch", "client_id", "delivery", "tag", "previous", "generation"),
    *("advanced_at_ms", "idle_expires_at_ms", "secret_id", "created_at_ms", "created_address", "created_device"),
    *("refreshed_at_ms", "refreshed_address", "rotations", "recent_rotations", "revoked_at_ms", "revoked_reason"),
)
_GIVEN = re.compile(r"_binary\s*'(?:[^'\\]|\\.|'')*'|[xX]?'(?:[^'\\]|\\.|'')*'|\b0x[0-9a-fA-F]+\b|-?\b\d+\b")
_NEXT = re.compile(r";\s*(?=(?:SELECT|UPDATE|INSERT|DELETE|REPLACE|SET|WITH|COMMIT|BEGIN|START)\b)")


class OnMysql:
    """
    A server of its own below a folder.

    Args:
        stack: Ends it.
        settings: What is otherwise than Debian has it.
    """

    def __init__(self, folder: Path, stack: ExitStack, settings: Mapping[str, str]) -> None:
        installed = mariadb.programs()
        if installed is None:
            raise RuntimeError("MariaDB is not installed")
        place = folder / "mariadb"
        place.mkdir()
        self._server = stack.enter_context(mariadb.running(place, installed, settings=settings))
        told = "".join(f", {name}={value}" for name, value in settings.items())
        self.title = f"MariaDB, innodb_flush_log_at_trx_commit=1{told}"

    async def open(self) -> MysqlStore:
        store = MysqlStore(self._server.url, policy=POLICY, access_lifetime_ms=ACCESS_LIFETIME_MS)
        await store.start()
        return store

    @contextlib.asynccontextmanager
    async def _cursor(self) -> Any:
        driver = await asyncmy.connect(
            host="127.0.0.1", port=self._server.port, user="bench", database="bench", autocommit=True, charset="utf8mb4"
        )
        try:
            yield driver.cursor()
        finally:
            await driver.ensure_closed()

    async def fill(self, count: int, now_ms: int) -> None:
        await (await self.open()).stop()
        async with self._cursor() as cursor:
            await cursor.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
            await cursor.execute("SET unique_checks = 0")
            await _insert(cursor, "users", USER_COLUMNS, user_rows(in_passes(users_of(count), user_id), now_ms))
            numbers = in_passes(count, session_id)
            rest = (session(number, now_ms, idle_ms=POLICY.idle_ms) for number in numbers)
            seq = 0
            while some := list(itertools.islice(rest, _AT_ONCE)):
                await _insert(cursor, "sessions", _SESSIONS, map(_row, some))
                await _insert(cursor, "events", EVENT_COLUMNS, itertools.chain.from_iterable(map(event_rows, some)))
                told = [
                    (seq := seq + 1, one.revoked_at_ms, one.id)
                    for one in some
                    if one.revoked_at_ms and one.revoked_at_ms > now_ms - 2 * ACCESS_LIFETIME_MS
                ]
                await _insert(cursor, "revocations", ("seq", "at_ms", "session_id"), told)
            await cursor.execute("UPDATE revocation_counter SET last = %s", (seq,))
            await cursor.execute("ANALYZE TABLE users, sessions, events, revocations")
            await cursor.fetchall()
            await cursor.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")

    async def weigh(self) -> dict[str, Weight]:
        async with self._cursor() as cursor:
            await cursor.execute("ANALYZE TABLE users, sessions, events, revocations")
            await cursor.fetchall()
            await cursor.execute(
                "SELECT table_name, data_length, index_length FROM information_schema.tables"
                " WHERE table_schema = 'bench'"
            )
            return {row[0]: Weight(row[1], row[2]) for row in await cursor.fetchall()}

    def rotate(self, store: MysqlStore) -> Callable[[Sequence[RotationRequest]], Awaitable[list[RotationResult]]]:
        return store.rotate

    async def plans(self, ask: Callable[[MysqlStore], Awaitable[None]]) -> Plans:
        asked: dict[str, str] = {}
        with _traced(lambda statement: asked.setdefault(_shape(statement), statement)):
            store = await self.open()
            try:
                await ask(store)
            finally:
                await store.stop()
        plans = Plans()
        connection = await mysql_connection.connect(self._server.url, prefix="")
        try:
            for shape, statement in asked.items():
                if not shape.startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")):
                    continue
                plans.looked_at += 1
                # id, select_type, table, type, possible_keys, key, key_len, ref, rows, Extra
                rows = await connection.fetch(Sql(f"EXPLAIN {statement}"))
                walked = [
                    f"{row[3]} of {row[2]}, about {row[8]} rows"
                    for row in rows
                    if row[3] in ("ALL", "index") and int(row[8] or 0) > _ROWS_OF_A_PAGE
                ]
                if walked:
                    plans.walks.append(f"{shape[:90]}: {', '.join(walked)}")
        finally:
            connection.terminate()
        return plans

    async def facts(self) -> list[tuple[str, str]]:
        async with self._cursor() as cursor:
            await cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_%%'")
            status = {row[0]: row[1] for row in await cursor.fetchall()}
        read, missed = (int(status[f"Innodb_buffer_pool_{name}"]) for name in ("read_requests", "reads"))
        return [("pages found in the buffer pool", f"{1 - missed / max(read, 1):.1%}")]


async def _insert(cursor: Any, table: str, columns: Sequence[str], rows: Iterable[tuple[object, ...]]) -> None:
    rest = iter(rows)
    marks = ", ".join(["%s"] * len(columns))
    while some := list(itertools.islice(rest, _AT_ONCE)):
        await cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", some)


def _row(one: Person) -> tuple[object, ...]:
    moved = None if one.refreshed_address == one.created_address else one.refreshed_address
    return (
        *(one.id, one.user_id, one.username, 0, CLIENT, 1, one.tag, one.previous, one.generation),
        *(one.refreshed_at_ms, one.idle_expires_at_ms, SECRET_ID, one.created_at_ms),
        *(one.created_address, one.created_device, one.refreshed_at_ms, moved, one.generation),
        *(b"".join(at_ms.to_bytes(6, "big") for at_ms in one.recent_ms), one.revoked_at_ms, one.reason),
    )


@contextlib.contextmanager
def _traced(seen: Callable[[str], object]) -> Iterator[None]:
    """Every statement that a store runs meanwhile, as it is sent."""
    its: Any = mysql_connection.Connection
    usual = its.run

    async def run(self: Any, sql: str, *values: Any) -> Any:
        for statement in _NEXT.split(sql if isinstance(sql, Sql) else written(sql, self.prefix, values)):
            seen(statement)
        return await usual(self, sql, *values)

    its.run = run
    try:
        yield
    finally:
        its.run = usual


def _shape(statement: str) -> str:
    """A statement without what was given to it."""
    return " ".join(_GIVEN.sub("?", statement).split())
