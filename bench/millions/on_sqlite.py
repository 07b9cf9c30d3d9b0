"""SQLite with millions of sessions."""

import contextlib
import itertools
import re
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.millions.filling import ACCESS_LIFETIME_MS, GROWING, POLICY, ROWS_AT_ONCE, Plans, Weight
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
from evertoken.clock import system_clock
from evertoken.sessions.model import RotationRequest, RotationResult
from evertoken.stores.sqlite import worker
from evertoken.stores.sqlite.store import SqliteStore

_SESSIONS = (
    *("id", "user_id", "username", "user_epoch", "client_id", "delivery", "tag", "previous", "generation"),
    *("advanced_at_ms", "idle_expires_at_ms", "secret_id", "created_at_ms", "created_address", "created_device"),
    *("refreshed_at_ms", "refreshed_address", "refreshed_device", "rotations", "recent_rotations", "revoked_at_ms"),
    "revoked_reason",
)
_GIVEN = re.compile(r"x?'(?:[^']|'')*'|\b\d+\b", re.IGNORECASE)


_STEPS_AT_ONCE = 1_000
MOST_STEPS = 3_000_000
"""What SQLite may need for a statement, of its own small steps; a window of 10,000 sessions is a third."""


class OnSqlite:
    """A file in a folder."""

    def __init__(self, folder: Path) -> None:
        self.title = "SQLite, synchronous=FULL"
        self._path = folder / "millions.db"

    async def open(self) -> SqliteStore:
        store = SqliteStore(self._path, clock=system_clock, policy=POLICY, access_lifetime_ms=ACCESS_LIFETIME_MS)
        await store.start()
        return store

    async def fill(self, count: int, now_ms: int) -> None:
        (await self.open()).close()
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -3000000"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("BEGIN")
            indexes = connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            ).fetchall()
            for name, _ in indexes:  # made at the end, of all rows together: denser than those that have grown
                connection.execute(f"DROP INDEX {name}")
            users = user_rows(in_passes(users_of(count), user_id), now_ms)
            self._insert(connection, "users", USER_COLUMNS, users)
            numbers = in_passes(count, session_id)
            rest = (session(number, now_ms, idle_ms=POLICY.idle_ms) for number in numbers)
            while some := list(itertools.islice(rest, ROWS_AT_ONCE)):
                self._insert(connection, "sessions", _SESSIONS, map(_row, some))
                self._insert(connection, "events", EVENT_COLUMNS, itertools.chain.from_iterable(map(event_rows, some)))
                told = [
                    (one.id, one.revoked_at_ms)
                    for one in some
                    if one.revoked_at_ms and one.revoked_at_ms > now_ms - 2 * ACCESS_LIFETIME_MS
                ]
                self._insert(connection, "revocations", ("session_id", "at_ms"), told)
            for _, sql in indexes:
                connection.execute(sql)
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")

    @staticmethod
    def _insert(
        connection: sqlite3.Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[object, ...]]
    ) -> None:
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    async def weigh(self) -> dict[str, Weight]:
        """By the pages of each table and index; of the file alone where this SQLite cannot tell them apart."""
        with contextlib.closing(sqlite3.connect(self._path)) as connection:
            try:
                pages = dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall())
            except sqlite3.OperationalError:
                return {"all tables and indexes": Weight(self._path.stat().st_size)}
            owners = connection.execute("SELECT name, tbl_name, type FROM sqlite_master").fetchall()
        weights: dict[str, Weight] = {}
        for name, table, kind in owners:
            weight = weights.setdefault(table, Weight(0))
            if kind == "table":
                weight.table += pages.get(name, 0)
            else:
                weight.indexes += pages.get(name, 0)
        return weights

    def rotate(self, store: SqliteStore) -> Callable[[Sequence[RotationRequest]], Awaitable[list[RotationResult]]]:
        return store.rotate

    async def plans(self, ask: Callable[[SqliteStore], Awaitable[None]]) -> Plans:
        asked: dict[str, str] = {}
        steps: Counter[str] = Counter()
        with _traced(asked, steps):
            store = await self.open()
            try:
                await ask(store)
            finally:
                await store.stop()
        plans = Plans()
        with contextlib.closing(sqlite3.connect(self._path)) as connection:
            for shape, statement in asked.items():
                if not shape.startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")):
                    continue
                plans.looked_at += 1
                rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
                scans = [row[3] for row in rows if row[3].startswith("SCAN") and row[3].split()[1] in GROWING]
                # Bounded: it goes through the order of an index, and stops at its LIMIT.
                if scans and not (" LIMIT " in shape and not any("TEMP B-TREE" in row[3] for row in rows)):
                    plans.walks.append(f"{shape[:90]}: {', '.join(scans)}")
                elif steps[shape] > MOST_STEPS:
                    plans.walks.append(f"{shape[:90]}: about {steps[shape]:,} steps")
        return plans

    async def facts(self) -> list[tuple[str, str]]:
        size = self._path.stat().st_size
        return [("the file", f"{size / 1e9:.2f} GB")]


def _row(one: Person) -> tuple[object, ...]:
    return (
        *(one.id, one.user_id, one.username, 0, CLIENT, 1, one.tag, one.previous, one.generation),
        *(one.refreshed_at_ms, one.idle_expires_at_ms, SECRET_ID, one.created_at_ms),
        *(one.created_address, one.created_device, one.refreshed_at_ms, one.refreshed_address, one.created_device),
        *(one.generation, ",".join(map(str, one.recent_ms))[:280], one.revoked_at_ms, one.reason),
    )


@contextlib.contextmanager
def _traced(asked: dict[str, str], steps: Counter[str]) -> Iterator[None]:
    """
    Follow every connection that a store opens meanwhile.

    Args:
        asked: Gets a statement of each shape.
        steps: Gets how many steps SQLite took for it, of all times together.
    """
    its: Any = worker
    usual = its.open_for_writing, its.open_for_reading

    def with_trace(opener: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
        def opened(path: Path, prefix: str = "") -> sqlite3.Connection:
            connection = opener(path, prefix)
            running = ""

            def begins(statement: str) -> None:
                nonlocal running
                running = _shape(statement)
                asked.setdefault(running, statement)

            def goes_on() -> int:
                steps[running] += _STEPS_AT_ONCE
                return 0

            connection.set_trace_callback(begins)
            connection.set_progress_handler(goes_on, _STEPS_AT_ONCE)
            return connection

        return opened

    its.open_for_writing, its.open_for_reading = map(with_trace, usual)
    try:
        yield
    finally:
        its.open_for_writing, its.open_for_reading = usual


def _shape(statement: str) -> str:
    """A statement without what was given to it."""
    return " ".join(_GIVEN.sub("?", statement).split())
