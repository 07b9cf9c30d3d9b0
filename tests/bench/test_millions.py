"""That the bench of millions measures what it says, in its small form: a few thousand sessions."""

import contextlib
import math
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.disk import folder_on_a_disk
from bench.millions import on_postgresql, on_sqlite
from bench.millions.filling import POLICY, Engine
from bench.millions.measuring import Measured, measure_full
from bench.millions.on_mysql import OnMysql
from bench.millions.on_postgresql import OnPostgresql
from bench.millions.on_redis import OnRedis
from bench.millions.on_sqlite import OnSqlite
from bench.millions.people import KINDS, SWEPT_SHARE, everybody, live_ones, session

from bench import mariadb, postgresql, redis_server
from evertoken.sessions.store import KEPT_AFTER_END_MS
from evertoken.stores.postgresql import operating as postgresql_operating
from evertoken.stores.sqlite import operating as sqlite_operating
from tests.needs import is_missing

ROOT = Path(__file__).resolve().parents[2]
SESSIONS = 4_000
SERVERS = [pytest.param(kind, marks=pytest.mark.soak) for kind in ("postgresql", "mysql", "redis")]
"""Each needs a server of its own and some ten seconds."""

NOW_MS = 1_795_000_000_000

# Nothing could be installed elsewhere, so with CI=true they are skipped there too.
linux = pytest.mark.skipif(sys.platform != "linux", reason="the bench starts servers as Linux has them")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the bench's own."""
    made = folder_on_a_disk()
    place = made / "test"
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(made)


@contextlib.asynccontextmanager
async def _engine(kind: str, folder: Path) -> AsyncIterator[Engine]:
    with contextlib.ExitStack() as stack:
        if kind == "sqlite":
            yield OnSqlite(folder)
        elif kind == "postgresql":
            if postgresql.programs() is None:
                is_missing("PostgreSQL is not installed: its statements are looked at")
            yield OnPostgresql(folder, stack, {})
        elif kind == "mysql":
            if mariadb.programs() is None:
                is_missing("mariadb-server is not installed: its statements are looked at")
            yield OnMysql(folder, stack, {})
        else:
            if redis_server.program() is None:
                is_missing("redis-server is not installed: its commands are looked at")
            yield OnRedis(folder, stack)


@linux
@pytest.mark.parametrize("kind", ["sqlite", *SERVERS])
async def test_a_store_that_is_full_is_swept_in_steps_and_read_from_end_to_end_by_none_but_the_counts(
    kind: str, folder: Path
) -> None:
    """
    Of thousands of sessions the sweeper removes those that have long been over while all others go on being refreshed,
    and no statement but those that count reads a table from end to end.
    """
    measured = Measured(SESSIONS)
    async with _engine(kind, folder) as engine:
        await measure_full(engine, measured, seconds=0.2, rounds=1, say=lambda _: None)
    assert measured.sweep.gone == SESSIONS * SWEPT_SHARE
    assert measured.sweep.refreshes.waits
    assert measured.full.waits
    assert measured.plans.looked_at >= 15
    assert all("count(*) from " in walk.lower() for walk in measured.plans.walks), measured.plans.walks
    assert sum(weight.table for weight in measured.weights.values()) > 100 * SESSIONS
    assert {name for name, took in measured.questions.items() if len(took) != 5 or max(took) == math.inf} == set()


@linux
@pytest.mark.parametrize("kind", ["sqlite", *SERVERS[:2]])
async def test_a_statement_that_reads_a_whole_table_is_told_of(kind: str, folder: Path) -> None:
    """Counting the sessions of each secret reads every one of them, and the bench says so."""
    async with _engine(kind, folder) as engine:
        await engine.fill(SESSIONS, NOW_MS)

        async def ask(store: Any) -> None:
            await store.sessions_per_secret()

        plans = await engine.plans(ask)
    assert len(plans.walks) == 1
    assert "secret_id, count(*)" in plans.walks[0].lower()


@linux
@pytest.mark.parametrize("kind", ["sqlite", *SERVERS[:1]])
async def test_a_search_that_finds_nobody_looks_at_one_window_of_the_users(
    kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many users there are, an operator's search reads no more of them than a window."""
    monkeypatch.setattr(sqlite_operating, "ROWS_PER_PAGE", 50)
    monkeypatch.setattr(postgresql_operating, "ROWS_PER_PAGE", 50)
    monkeypatch.setattr(on_sqlite, "MOST_STEPS", 4_000)
    monkeypatch.setattr(on_postgresql, "MOST_ROWS", 150)
    async with _engine(kind, folder) as engine:
        await engine.fill(SESSIONS, NOW_MS)

        async def ask(store: Any) -> None:
            assert (await store.search_users("nobody-is-called-so", after=None, limit=10)).after is not None

        plans = await engine.plans(ask)
    assert plans.looked_at >= 2
    assert plans.walks == []


def test_those_whom_a_store_is_filled_with_are_always_the_same() -> None:
    """A session follows from its number, no two are one, and of twenty fifteen live and two are long over."""
    people = list(everybody(SESSIONS, NOW_MS, idle_ms=POLICY.idle_ms))
    assert people[17] == session(17, NOW_MS, idle_ms=POLICY.idle_ms)
    assert len({one.id for one in people}) == len({one.tag for one in people}) == SESSIONS
    kinds: Counter[str] = Counter()
    for one in people:
        over_ms = one.idle_expires_at_ms if one.revoked_at_ms is None else one.revoked_at_ms
        kinds["live" if over_ms > NOW_MS else "long over" if over_ms < NOW_MS - KEPT_AFTER_END_MS else "over"] += 1
        assert one.created_at_ms <= one.refreshed_at_ms <= NOW_MS
    assert kinds == {"live": SESSIONS * 15 // KINDS, "long over": SESSIONS * 2 // KINDS, "over": SESSIONS * 3 // KINDS}
    chosen = live_ones(SESSIONS, 100, NOW_MS, idle_ms=POLICY.idle_ms)
    assert len({one.id for one in chosen}) == 100
    assert all(one.revoked_at_ms is None and one.idle_expires_at_ms > NOW_MS for one in chosen)


@linux
def test_more_sessions_than_the_disk_has_room_for_are_refused(tmp_path: Path) -> None:
    """`python -m bench.millions` says how much it needs before it fills a disk, and leaves nothing behind."""
    program = "import shutil, sys; shutil.disk_usage = lambda _: shutil._ntuple_diskusage(1, 1, 10**9)"
    program += "; sys.argv = ['x', '--store', 'sqlite', '--sessions', '1_000_000']"
    program += "; from bench.millions.__main__ import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"TMPDIR": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    assert "1.0 GB" in ran.stderr
    assert "3.2 GB" in ran.stderr
    assert list(tmp_path.iterdir()) == []


async def test_what_sqlite_is_filled_with_is_what_its_own_rows_look_like(folder: Path) -> None:
    """Every column that a sign-in fills is filled, so that a session weighs here what it weighs in production."""
    engine = OnSqlite(folder)
    await engine.fill(40, NOW_MS)
    with contextlib.closing(sqlite3.connect(folder / "millions.db")) as connection:
        rows = connection.execute("SELECT count(*), count(created_device), count(secret_id) FROM sessions").fetchone()
        assert rows == (40, 40, 40)
        lines = connection.execute("SELECT kind, count(*) FROM events GROUP BY kind ORDER BY kind").fetchall()
    assert lines == [("session_ended", 4), ("sign_in", 40)]
