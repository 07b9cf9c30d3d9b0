"""Redis with more sessions than one look should take in: each step and each page asks for a few."""

from collections.abc import Sequence
from typing import Any

import pytest

from evertoken.sessions.operating import SessionSearch
from evertoken.sessions.rotation import Row
from evertoken.sessions.store import KEPT_AFTER_END_MS
from evertoken.stores.redis import sweeping
from evertoken.stores.redis.scripts import Command
from tests.stores.compliance.bench import add_user, sign_in
from tests.stores.redis.bench import RedisBench

SESSIONS = 300
MANY = 1_000


def _ids(count: int) -> list[bytes]:
    """In buckets of their own as far as there are any, as random ids are."""
    return [bytes([number % 256]) + number.to_bytes(15, "big") for number in range(count)]


async def _ran(bench: RedisBench) -> dict[str, int]:
    """How often each command was run since this was asked before, in scripts too."""
    stats = await bench.ask("INFO", "commandstats")
    await bench.ask("CONFIG", "RESETSTAT")
    return {name.removeprefix("cmdstat_"): figures["calls"] for name, figures in stats.items()}


async def test_the_walk_goes_on_through_steps_that_find_nothing_and_says_when_it_has_been_round(
    bench: RedisBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One session that is long over among hundreds that live is found in one walk, and each step looks at a few."""
    monkeypatch.setattr(sweeping, "SCAN_PER_STEP", 50)
    monkeypatch.setattr(sweeping, "_AT_ONCE", 25)
    store, clock = bench.open(), bench.clock
    over, *alive = _ids(SESSIONS)
    long_over = Row(b"tag", None, 0, 0, clock() - KEPT_AFTER_END_MS - 1)
    living = Row(b"tag", None, 0, 0, clock() + 1)
    await bench.put_rows({over: long_over} | dict.fromkeys(alive, living))
    await store.start()
    await _ran(bench)
    steps: list[int] = []
    while (gone := await store.sweep()) is not None:
        ran = await _ran(bench)
        assert ran["getrange"] <= 50 + gone  # the dates alone; what goes is looked at once more as it goes
        assert ran["get"] <= 2 + gone
        steps.append(gone)
        assert len(steps) < 20
    assert steps.count(1) == 1
    assert sum(steps) == 1
    assert steps.index(1) >= SESSIONS // 50 - 1
    assert set(await bench.read_rows([over, *alive])) == set(alive)


async def test_a_session_younger_than_what_is_kept_is_not_looked_at_by_the_sweeper(bench: RedisBench) -> None:
    """Nothing that began within thirty days can have been over for as long, so the walk begins behind it."""
    store, clock = bench.open(), bench.clock
    user = await add_user(store)
    for _ in range(5):
        await sign_in(store, clock, user)
    clock.advance(KEPT_AFTER_END_MS / 1000)
    await _ran(bench)
    assert await store.sweep() is None
    assert "getrange" not in await _ran(bench)
    clock.advance(0.001)
    assert await store.sweep() is None
    assert (await _ran(bench))["getrange"] == 5


async def test_a_search_that_finds_nothing_reads_a_hundred_sessions_at_a_time(
    bench: RedisBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a search is, whoever else waits for Redis has a turn after every hundred sessions."""
    store = bench.open()
    await bench.put_rows(dict.fromkeys(_ids(MANY), Row(b"tag", None, 0, 0, bench.clock() + 1)))
    sent: list[int] = []
    run = store._calls.run

    async def counting(commands: Sequence[Command]) -> list[Any]:
        sent.append(len(commands))
        return await run(commands)

    monkeypatch.setattr(store._calls, "run", counting)
    page = await store.search_sessions(SessionSearch("nobody-is-called-so"))
    assert (page.sessions, page.after) == ((), None)
    assert max(sent) <= 100
    assert sum(sent) < 2 * MANY
    sent.clear()
    assert len((await store.search_sessions(SessionSearch(limit=10))).sessions) == 10
    assert sum(sent) < 2 * 256  # each bucket was asked, and no more than one in two a second time
