"""PostgreSQL with millions of sessions."""

import itertools
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg

from bench import postgresql
from bench.millions.filling import ACCESS_LIFETIME_MS, GROWING, POLICY, ROWS_AT_ONCE, Plans, Weight
from bench.millions.people import (
    CLIENT,
    EVENT_COLUMNS,
    SECRET_ID,
    USER_COLUMNS,
    Person,
    event_rows,
    everybody,
    user_rows,
    users_of,
)
from evertoken.sessions.model import RotationRequest, RotationResult
from evertoken.stores.postgresql.store import PostgresStore

_SCHEMA = "evertoken"
_PLAN = "  plan:\n"
_ROWS_OF_A_PAGE = 1_000
MOST_ROWS = 25_000
"""What a statement may read that says where: twice the window of a list, and some."""

_FILLING = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "'8GB'", "checkpoint_timeout": "'1h'"}
"""What is set while the tables are filled, and no longer."""

_SECONDARY_INDEXES = f"""
SELECT index.relname, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class index ON index.oid = indexrelid
WHERE relnamespace = '{_SCHEMA}'::regnamespace AND NOT indisunique
"""
"""They are made at the end, of all rows together."""

_WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
_EXPLAINED = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_format": "json",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
}
_SESSIONS = (
    *("id", "user_id", "username", "user_epoch", "client_id", "delivery", "tag", "previous", "generation"),
    *("advanced_at_ms", "idle_expires_at_ms", "secret_id", "created_at_ms", "created_address", "created_device"),
    *("refreshed_at_ms", "refreshed_address", "rotations", "recent_rotations", "revoked_at_ms", "revoked_reason"),
)


class OnPostgresql:
    """
    A server of its own below a folder.

    Args:
        stack: Ends it.
        settings: What is otherwise than Debian has it.
    """

    def __init__(self, folder: Path, stack: ExitStack, settings: Mapping[str, str]) -> None:
        bin_folder = postgresql.programs()
        if bin_folder is None:
            raise RuntimeError("PostgreSQL is not installed")
        place = folder / "postgresql"
        place.mkdir()
        self._log = place / "log"
        self._written = 0
        self._url = stack.enter_context(postgresql.running(place, bin_folder, settings=settings)).url
        told = "".join(f", {name}={value}" for name, value in settings.items())
        self.title = f"PostgreSQL, synchronous_commit=on{told}"

    async def open(self) -> PostgresStore:
        store = PostgresStore(self._url, policy=POLICY, access_lifetime_ms=ACCESS_LIFETIME_MS)
        await store.start()
        return store

    async def fill(self, count: int, now_ms: int) -> None:
        await (await self.open()).stop()
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(f"SET search_path = {_SCHEMA}; SET synchronous_commit = off")
            for name, value in _FILLING.items():
                await connection.execute(f"ALTER SYSTEM SET {name} = {value}")
            await connection.execute("SELECT pg_reload_conf()")
            indexes = await connection.fetch(_SECONDARY_INDEXES)
            for name, _ in indexes:
                await connection.execute(f"DROP INDEX {_SCHEMA}.{name}")
            users = iter(user_rows(range(users_of(count)), now_ms))
            while some_users := list(itertools.islice(users, ROWS_AT_ONCE)):
                await _copy(connection, "users", USER_COLUMNS, some_users)
            rest = everybody(count, now_ms, idle_ms=POLICY.idle_ms)
            seq = 0
            while some := list(itertools.islice(rest, ROWS_AT_ONCE)):
                await _copy(connection, "sessions", _SESSIONS, map(_row, some))
                await _copy(connection, "events", EVENT_COLUMNS, itertools.chain.from_iterable(map(event_rows, some)))
                told = [
                    (seq := seq + 1, one.revoked_at_ms, one.id)
                    for one in some
                    if one.revoked_at_ms and one.revoked_at_ms > now_ms - 2 * ACCESS_LIFETIME_MS
                ]
                await _copy(connection, "revocations", ("seq", "at_ms", "session_id"), told)
            await connection.execute("UPDATE revocation_counter SET last = $1", seq)
            await connection.execute("SET maintenance_work_mem = '1GB'")
            for _, made_by in indexes:
                await connection.execute(made_by)
            await connection.execute("VACUUM ANALYZE")
            await connection.execute("ALTER SYSTEM RESET ALL")
            await connection.execute("SELECT pg_reload_conf()")
            await connection.execute("CHECKPOINT")
            await connection.execute("SELECT pg_stat_reset()")
            self._written = await connection.fetchval(_WRITTEN)
        finally:
            await connection.close()

    async def _ask(self, statement: str) -> list[Any]:
        connection = await asyncpg.connect(self._url)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    async def weigh(self) -> dict[str, Weight]:
        rows = await self._ask(
            "SELECT relname, pg_table_size(relid), pg_indexes_size(relid) FROM pg_stat_user_tables"
            f" WHERE schemaname = '{_SCHEMA}'"
        )
        return {row[0]: Weight(row[1], row[2]) for row in rows}

    def rotate(self, store: PostgresStore) -> Callable[[Sequence[RotationRequest]], Awaitable[list[RotationResult]]]:
        return store.rotate

    async def plans(self, ask: Callable[[PostgresStore], Awaitable[None]]) -> Plans:
        """By the server's own word of what it did (auto_explain), read from its log."""
        before = self._log.stat().st_size
        for name, value in _EXPLAINED.items():
            await self._ask(f"ALTER DATABASE postgres SET {name} = '{value}'")
        try:
            store = await self.open()
            try:
                await ask(store)
            finally:
                await store.stop()
        finally:
            for name in _EXPLAINED:
                await self._ask(f"ALTER DATABASE postgres RESET {name}")
        found: dict[str, list[str]] = {}
        with self._log.open() as log:
            log.seek(before)
            for text, plan in _explained(log.read()):
                if " pg_" not in text and _SCHEMA + "." not in text:  # the driver's and Alembic's
                    found.setdefault(" ".join(text.split()), []).extend(
                        f"{node['Node Type']} of {node.get('Relation Name', node.get('Index Name'))},"
                        f" {node.get('Actual Rows', 0) + node.get('Rows Removed by Filter', 0):.0f} rows"
                        for node in _nodes(plan)
                        if _walks(node)
                    )
        walks = [f"{text[:90]}: {', '.join(nodes)}" for text, nodes in found.items() if nodes]
        return Plans(len(found), walks)

    async def facts(self) -> list[tuple[str, str]]:
        rows = await self._ask(
            f"SELECT n_tup_upd, n_tup_hot_upd, n_dead_tup, autovacuum_count, ({_WRITTEN}) FROM pg_stat_user_tables"
            f" WHERE schemaname = '{_SCHEMA}' AND relname = 'sessions'"
        )
        updated, hot, dead, vacuums, written = rows[0]
        if not updated:  # the server counts with a delay of a second or so
            return []
        return [
            ("written to the log for each refresh", f"{(written - self._written) / max(updated, 1):,.0f} bytes"),
            ("updates that touched no index", f"{hot / max(updated, 1):.1%}"),
            ("dead rows, autovacuums since", f"{dead:,}, {vacuums}"),
        ]


async def _copy(connection: Any, table: str, columns: Sequence[str], rows: Iterable[tuple[object, ...]]) -> None:
    await connection.copy_records_to_table(table, schema_name=_SCHEMA, columns=columns, records=rows)


def _row(one: Person) -> tuple[object, ...]:
    moved = None if one.refreshed_address == one.created_address else one.refreshed_address
    return (
        *(one.id, one.user_id, one.username, 0, CLIENT, 1, one.tag, one.previous, one.generation),
        *(one.refreshed_at_ms, one.idle_expires_at_ms, SECRET_ID, one.created_at_ms),
        *(one.created_address, one.created_device, one.refreshed_at_ms, moved, one.generation),
        *(b"".join(at_ms.to_bytes(6, "big") for at_ms in one.recent_ms), one.revoked_at_ms, one.reason),
    )


def _explained(log: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The statements in a log, each with its plan."""
    for entry in log.split(_PLAN)[1:]:
        lines = itertools.takewhile(lambda line: line.startswith("\t"), entry.splitlines())
        told = json.loads("\n".join(line[1:] for line in lines), strict=False)
        yield told["Query Text"], told["Plan"]


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _walks(node: dict[str, Any]) -> bool:
    """Whether a node reads a table that grows without saying where, or more of it than the window of a list."""
    name = node.get("Relation Name", node.get("Index Name", "")).partition("_")[0]
    if name not in GROWING or node["Node Type"] in {"ModifyTable", "Bitmap Heap Scan"}:
        return False
    says_where = "Index Cond" in node or "TID Cond" in node
    rows = node.get("Actual Rows", 0) + node.get("Rows Removed by Filter", 0)
    if node["Node Type"] == "Seq Scan" or rows > MOST_ROWS:
        return True
    return not says_where and rows > _ROWS_OF_A_PAGE
