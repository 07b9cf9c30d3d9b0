"""Rotations in MariaDB: group commit beside asyncmy's own statement each."""

from pathlib import Path
from typing import Any

import asyncmy

from bench import mariadb, stores
from bench.disk import file_system
from bench.effort import Effort, cores, pin
from bench.processes import cpu_of
from bench.report import Section
from bench.stores import CALLERS, IDLE_MS, POLICY, Measured, Rotating
from evertoken.clock import system_clock
from evertoken.sessions.group_commit import GroupCommit
from evertoken.sessions.model import RotationRequest, RotationResult
from evertoken.sessions.rotation import Outcome
from evertoken.stores.mysql.store import MysqlStore

CONNECTIONS = 8

# What one would write by hand: the same row and the same promise, without the cases that an ADVANCE does not need; and
# without the SELECT that reads the user's name and roles, for there is no RETURNING.
_ONE = f"""
UPDATE sessions s JOIN users u ON u.id = s.user_id
SET s.outcome = 3, s.previous = s.tag, s.generation = %s, s.advanced_at_ms = %s, s.refreshed_at_ms = %s,
  s.idle_expires_at_ms = %s + {IDLE_MS}, s.rotations = s.rotations + 1,
  s.recent_rotations = LEFT(CONCAT(UNHEX(LPAD(HEX(%s), 12, '0')), s.recent_rotations), 120), s.tag = %s
WHERE s.id = %s AND s.tag = %s AND s.revoked_at_ms IS NULL AND s.idle_expires_at_ms > %s
  AND u.epoch = s.user_epoch AND NOT u.disabled
"""


class _OneEach:
    """The driver alone: a pool, and a prepared statement for each rotation."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def submit(self, request: RotationRequest) -> RotationResult:
        token, now_ms = request.token, system_clock()
        given = (*(token.generation, now_ms, now_ms, now_ms, now_ms), token.tag, token.session_id, token.parent, now_ms)
        async with self._pool.acquire() as connection, connection.cursor() as cursor:
            assert await cursor.execute(_ONE, given) == 1
        return RotationResult(Outcome.ADVANCE, now_ms)


async def _measure(folder: Path, installed: tuple[str, str], effort: Effort) -> Measured:
    place = folder / "mariadb"
    place.mkdir()
    with mariadb.running(place, installed) as server:  # on the core that we are on now
        pin(cores()[0])
        store = MysqlStore(server.url, policy=POLICY, access_lifetime_ms=1_800_000)
        await store.start()
        try:
            async with asyncmy.create_pool(
                minsize=CONNECTIONS,
                maxsize=CONNECTIONS,
                host="127.0.0.1",
                port=server.port,
                user="bench",
                database="bench",
                autocommit=True,
                init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                stmt_cache_size=16,
            ) as pool:
                sessions = [await Rotating.begin(store, number) for number in range(max(CALLERS))]
                return await stores.compare(
                    sessions,
                    each=_OneEach(pool).submit,
                    together=GroupCommit(store.rotate).submit,
                    effort=effort,
                    database_cpu=lambda: cpu_of(server.pid),
                )
        finally:
            await store.stop()
            pin(cores()[1])


async def run(folder: Path, effort: Effort) -> list[Section]:
    """Measure, and say what was found; nothing where there is no MariaDB."""
    installed = mariadb.programs()
    if installed is None:
        return [Section("Store operations (MariaDB)", "not measured: MariaDB is not installed")]
    section = Section(
        "Store operations (MariaDB, innodb_flush_log_at_trx_commit=1)",
        f"rotations through the store alone on one core, the server on another, on {file_system(folder)};"
        f" a statement each: asyncmy, {CONNECTIONS} connections, prepared",
    )
    measured = await _measure(folder, installed, effort)
    return [stores.report(section, measured, store="MariaDB", each="asyncmy's own statement each", goal=2)]
