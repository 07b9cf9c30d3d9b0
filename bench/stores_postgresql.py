"""Rotations in PostgreSQL: group commit beside asyncpg's own statement each."""

from pathlib import Path

import asyncpg

from bench import postgresql, stores
from bench.disk import file_system
from bench.effort import Effort, cores, pin
from bench.processes import cpu_of
from bench.report import Section
from bench.stores import CALLERS, IDLE_MS, POLICY, Measured, Rotating
from evertoken.clock import system_clock
from evertoken.sessions.group_commit import GroupCommit
from evertoken.sessions.model import RotationRequest, RotationResult
from evertoken.sessions.rotation import Outcome
from evertoken.stores.postgresql.store import PostgresStore

CONNECTIONS = 8

# What one would write by hand: the same row and the same promise, without the cases that an ADVANCE does not need.
_ONE = f"""
UPDATE evertoken.sessions s SET outcome = 3, previous = s.tag, tag = $2, generation = $4, advanced_at_ms = $5::bigint,
  refreshed_at_ms = $5::bigint, idle_expires_at_ms = $5::bigint + {IDLE_MS}, rotations = s.rotations + 1,
  recent_rotations = substr(substr(int8send($5::bigint), 3) || s.recent_rotations, 1, 120)
FROM evertoken.users u
WHERE s.id = $1 AND s.tag = $3 AND s.revoked_at_ms IS NULL AND s.idle_expires_at_ms > $5::bigint
  AND u.id = s.user_id AND u.epoch = s.user_epoch AND NOT u.disabled
RETURNING s.user_id, s.client_id, u.username, u.roles
"""


class _OneEach:
    """The driver alone: a pool, and a statement for each rotation."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def submit(self, request: RotationRequest) -> RotationResult:
        token, now_ms = request.token, system_clock()
        row = await self._pool.fetchrow(_ONE, token.session_id, token.tag, token.parent, token.generation, now_ms)
        assert row is not None
        return RotationResult(Outcome.ADVANCE, now_ms)


async def _measure(folder: Path, bin_folder: Path, effort: Effort) -> Measured:
    place = folder / "postgresql"
    place.mkdir()
    with postgresql.running(place, bin_folder) as server:  # on the core that we are on now
        pin(cores()[0])
        store = PostgresStore(server.url, policy=POLICY, access_lifetime_ms=1_800_000)
        await store.start()
        try:
            async with asyncpg.create_pool(server.url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
                sessions = [await Rotating.begin(store, number) for number in range(max(CALLERS))]
                await pool.execute("VACUUM ANALYZE")
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
    """Measure, and say what was found; nothing where there is no PostgreSQL."""
    bin_folder = postgresql.programs()
    if bin_folder is None:
        return [Section("Store operations (PostgreSQL)", "not measured: PostgreSQL is not installed")]
    section = Section(
        "Store operations (PostgreSQL, synchronous_commit=on)",
        f"rotations through the store alone on one core, the server on another, on {file_system(folder)};"
        f" a statement each: asyncpg, {CONNECTIONS} connections",
    )
    measured = await _measure(folder, bin_folder, effort)
    return [stores.report(section, measured, store="PostgreSQL", each="asyncpg's own statement each", goal=4)]
