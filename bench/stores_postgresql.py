"""Rotations in PostgreSQL: group commit beside the driver's own statement each, at 1, 64 and 256 callers."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from bench import postgresql
from bench.disk import file_system
from bench.effort import Effort, cores, pin
from bench.report import Section, at_least, median, micros, percentile, rate, ratio
from bench.stores import Rotating, rotations_per_second
from evertoken.clock import system_clock
from evertoken.sessions.group_commit import GroupCommit
from evertoken.sessions.model import RotationRequest, RotationResult
from evertoken.sessions.rotation import Outcome, RotationPolicy
from evertoken.stores.postgresql.store import PostgresStore

CALLERS = (1, 64, 256)
GOAL_AT = 64
CONNECTIONS = 8
IDLE_MS = 7 * 24 * 3600 * 1000

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


@dataclass(slots=True)
class Measured:
    """Rates of both sides by the number of callers, what a lone caller waits, and CPU per rotation."""

    file_system: str
    grouped: dict[int, list[float]] = field(default_factory=dict)
    one_each: dict[int, list[float]] = field(default_factory=dict)
    cpu_grouped: dict[int, list[float]] = field(default_factory=dict)
    cpu_one_each: dict[int, list[float]] = field(default_factory=dict)
    waits: dict[int, list[float]] = field(default_factory=dict)


class _Timed:
    """Remembers how long each rotation took."""

    def __init__(self, commits: GroupCommit) -> None:
        self._commits = commits
        self.took: list[float] = []

    async def submit(self, request: RotationRequest) -> RotationResult:
        began = time.perf_counter()
        result = await self._commits.submit(request)
        self.took.append(time.perf_counter() - began)
        return result


class _OneEach:
    """The driver alone: a pool, and a statement for each rotation."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    async def submit(self, request: RotationRequest) -> RotationResult:
        token, now_ms = request.token, system_clock()
        row = await self._pool.fetchrow(_ONE, token.session_id, token.tag, token.parent, token.generation, now_ms)
        assert row is not None
        return RotationResult(Outcome.ADVANCE, now_ms)


async def measure(folder: Path, bin_folder: Path, effort: Effort) -> Measured:
    """Alternate between the two kinds of commit, for each number of callers."""
    measured = Measured(file_system(folder))
    place = folder / "postgresql"
    place.mkdir()
    with postgresql.running(place, bin_folder) as url:  # on the core that we are on now
        pin(cores()[0])
        store = PostgresStore(url, policy=RotationPolicy(overlap_ms=0, idle_ms=IDLE_MS), access_lifetime_ms=1_800_000)
        await store.start()
        try:
            async with asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
                sessions = [await Rotating.begin(store, number) for number in range(max(CALLERS))]
                await pool.execute("VACUUM ANALYZE")
                for callers in CALLERS:
                    await _measure(measured, sessions[:callers], store, pool, effort)
        finally:
            await store.stop()
            pin(cores()[1])
    return measured


async def _measure(
    measured: Measured,
    sessions: list[Rotating],
    store: PostgresStore,
    pool: "asyncpg.Pool[asyncpg.Record]",
    effort: Effort,
) -> None:
    callers = len(sessions)
    grouped, one_each = _Timed(GroupCommit(store.rotate)), _OneEach(pool)
    for rates, cpu, submit in (
        (measured.grouped, measured.cpu_grouped, grouped.submit),
        (measured.one_each, measured.cpu_one_each, one_each.submit),
    ) * effort.rounds:
        began = time.process_time()
        rate_now = await rotations_per_second(sessions, submit, effort.seconds)
        rates.setdefault(callers, []).append(rate_now)
        cpu.setdefault(callers, []).append((time.process_time() - began) / (rate_now * effort.seconds))
    measured.waits[callers] = grouped.took


async def run(folder: Path, effort: Effort) -> list[Section]:
    """Measure, and say what was found; nothing where there is no PostgreSQL."""
    bin_folder = postgresql.programs()
    if bin_folder is None:
        return [Section("Store operations (PostgreSQL)", "not measured: PostgreSQL is not installed")]
    return [report(await measure(folder, bin_folder, effort))]


def report(measured: Measured) -> Section:
    """Rates, waits and CPU for each number of callers."""
    section = Section(
        "Store operations (PostgreSQL, synchronous_commit=on)",
        f"rotations through the store alone on one core, the server on another, on {measured.file_system};"
        f" a statement each: asyncpg, {CONNECTIONS} connections",
    )
    for callers in CALLERS:
        name = f"{callers} callers" if callers > 1 else "a lone caller"
        section.add(
            f"{name}, asyncpg's own statement each",
            rate(median(measured.one_each[callers])),
            note=f"our CPU {micros(median(measured.cpu_one_each[callers]))} each",
        )
        waits = measured.waits[callers]
        section.add(
            f"{name}, group commit in PostgreSQL",
            rate(median(measured.grouped[callers])),
            value=ratio(measured.grouped[callers], measured.one_each[callers]),
            goal=at_least(4) if callers == GOAL_AT else None,
            note=f"our CPU {micros(median(measured.cpu_grouped[callers]))} each,"
            f" waits p50 {micros(median(waits))}, p99 {micros(percentile(waits, 99))}",
        )
    return section
