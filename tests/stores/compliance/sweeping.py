"""Sweeping: what is kept no longer goes, in small steps, and nothing else does."""

from evertoken.accounts.throttle import Kind, Limits
from evertoken.sessions.keys import StoredKey
from evertoken.sessions.model import Event, EventKind
from evertoken.sessions.rotation import Outcome, Reason, Row
from evertoken.stores.store import Store
from tests.stores.compliance.bench import (
    ACCESS_LIFETIME_MS,
    DAY,
    IDLE,
    LAPTOP,
    Bench,
    add_user,
    refresh,
    sign_in,
    signed_in,
)

MONTH = 30 * DAY


async def sweep(store: Store) -> int:
    """Sweep until the walk has been round and nothing is left to do; how much went."""
    gone = 0
    while (step := await store.sweep()) is not None:
        gone += step
    return gone


class Sweeping:
    """The store stays as large as what it has to know."""

    async def test_a_session_goes_thirty_days_after_its_end_with_its_events(self, bench: Bench) -> None:
        """Until then an operator can tell why somebody was signed out; afterwards nothing is left of it."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)
        clock.advance(MONTH)
        await sweep(store)
        assert len(await store.timeline(token.session_id)) == 2
        clock.advance(0.001)
        await sweep(store)
        assert await store.find(token.session_id) is None
        assert await store.timeline(token.session_id) == []
        result = await refresh(store, token)
        assert (result.outcome, result.reason) == (Outcome.GONE, Reason.UNKNOWN)

    async def test_an_expired_session_goes_thirty_days_after_its_date(self, bench: Bench) -> None:
        """The earlier of its two dates is a session's end, used or not."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        idle = await sign_in(store, clock, user)
        aged = await sign_in(store, clock, user, max_age_ms=DAY * 1000)
        clock.advance(DAY + MONTH + 1)
        await sweep(store)
        assert await store.find(aged.session_id) is None
        assert await store.find(idle.session_id) is not None
        clock.advance(IDLE - DAY)
        await sweep(store)
        assert await store.find(idle.session_id) is None

    async def test_a_session_in_use_is_never_swept_nor_is_its_trail(self, bench: Bench) -> None:
        """However old a session is, as long as it lives all of it stays."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        for _ in range(20):
            clock.advance(6 * DAY)
            assert (await refresh(store, token)).outcome is Outcome.REISSUE
            await sweep(store)
        assert [line.kind for line in await store.timeline(token.session_id)] == [EventKind.SIGN_IN]

    async def test_revocations_stay_as_long_as_an_access_token_of_theirs_may_live(self, bench: Bench) -> None:
        """A guard that comes late still learns what it must refuse; later the line is of no use."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)
        seen = await store.revocations_after(0)
        clock.advance(ACCESS_LIFETIME_MS / 1000 + 60)
        await sweep(store)
        assert await store.revocations_after(0) == seen
        clock.advance(DAY)
        await sweep(store)
        assert (await store.revocations_after(0)).session_ids == ()
        assert await store.newest_revocation() == seen.cursor
        clock.advance(-2 * DAY)  # and even where the clock was set back, what comes lies after every cursor
        another = await signed_in(store, clock, "bob")
        await store.end(another.session_id, Reason.SIGNED_OUT, LAPTOP)
        news = await store.revocations_after(seen.cursor)
        assert [one for one, _ in news.session_ids] == [another.session_id]

    async def test_old_lines_attempts_and_retired_keys_go_and_what_is_in_use_stays(self, bench: Bench) -> None:
        """Failed sign-ins of a month ago, counters nobody asks for and keys that verify nothing are removed."""
        store, clock = bench.open(), bench.clock
        old, new = ({kind: f"{kind} {age}".encode() for kind in Kind} for age in ("old", "new"))
        retired = StoredKey("retired", "ES256", b"", 0, clock())
        signing = StoredKey("signing", "ES256", b"", 0, None)
        await store.save_keys([retired, signing])
        await store.record(Event(EventKind.SIGN_IN_FAILED, clock(), username="old"))
        for _ in range(8):
            await store.reserve_attempt(old, Limits())
        clock.advance(MONTH)
        await store.record(Event(EventKind.SIGN_IN_FAILED, clock(), username="new"))
        for _ in range(8):
            await store.reserve_attempt(new, Limits())
        rows = await bench.count_rows()
        assert await sweep(store) == 0
        clock.advance(0.001)
        assert await sweep(store) == rows - await bench.count_rows() == 1 + 3 + 1
        assert [line.username for line in await store.newest_events(5)] == ["new"]
        assert await store.list_keys() == [signing]
        assert not (await store.reserve_attempt(new, Limits())).allowed

    async def test_a_step_is_small_and_refreshes_pass_between_steps(self, bench: Bench) -> None:
        """Thousands of old sessions go a few at a time, and whoever lives among them is refreshed meanwhile."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        ended_at_ms = clock() - MONTH * 1000 - 1
        over = Row(b"tag", None, 0, 0, ended_at_ms)
        alive = Row(b"tag", None, 0, 0, clock() + 1)
        rows = {number.to_bytes(16, "big"): over if number % 3 else alive for number in range(6_000)}
        await bench.put_rows(rows)
        steps = []
        while (step := await store.sweep()) is not None:
            steps.append(step)
            assert (await refresh(store, token)).outcome is Outcome.REISSUE
        assert sum(steps) == 4_000
        assert max(steps) <= 500
        left = await bench.read_rows(rows)
        assert set(left) == {session_id for session_id, row in rows.items() if row is alive}
