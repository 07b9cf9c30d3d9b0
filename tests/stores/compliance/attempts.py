"""Sign-in attempts, counted for all workers together."""

import asyncio

from evertoken.accounts.throttle import Kind, Limit, Limits
from evertoken.stores.store import Store
from tests.stores.compliance.bench import DAY, Bench

KEYS = {Kind.PAIR: b"ada from home", Kind.ACCOUNT: b"ada", Kind.ADDRESS: b"home"}
ELSEWHERE = {Kind.PAIR: b"ada from elsewhere", Kind.ACCOUNT: b"ada", Kind.ADDRESS: b"elsewhere"}
BOB_AT_HOME = {Kind.PAIR: b"bob from home", Kind.ACCOUNT: b"bob", Kind.ADDRESS: b"home"}

DAY_MS = DAY * 1000
LIMITS = Limits(
    pair=Limit(2, 1_000, 60_000, DAY_MS),
    account=Limit(6, 1_000, 60_000, DAY_MS),
    address=Limit(9, 1_000, 60_000, DAY_MS),
)


async def let_in(store: Store, keys: dict[Kind, bytes], times: int) -> int:
    """How many of so many attempts at once are let through."""
    verdicts = await asyncio.gather(*(store.reserve_attempt(keys, LIMITS) for _ in range(times)))
    return sum(verdict.allowed for verdict in verdicts)


class Attempts:
    """The store makes deciding and counting one step."""

    async def test_guesses_sent_at_once_are_counted_before_they_are_verified(self, bench: Bench) -> None:
        """A hundred guesses at once through two workers get no further than a hundred in a row through one."""
        first, second = bench.open(), bench.open()
        through = await asyncio.gather(let_in(first, KEYS, 50), let_in(second, KEYS, 50))
        assert sum(through) == 3
        refused = await second.reserve_attempt(KEYS, LIMITS)
        assert (refused.allowed, refused.retry_after_ms, refused.slowed_by) == (False, 1_000, Kind.PAIR)

    async def test_a_refused_attempt_is_not_counted(self, bench: Bench) -> None:
        """Whoever knocks on does not keep the door shut: once the wait is over the next attempt is let through."""
        store, clock = bench.open(), bench.clock
        await let_in(store, KEYS, 20)
        clock.advance(0.999)
        assert (await store.reserve_attempt(KEYS, LIMITS)).retry_after_ms == 1
        clock.advance(0.001)
        assert (await store.reserve_attempt(KEYS, LIMITS)).allowed
        assert (await store.reserve_attempt(KEYS, LIMITS)).retry_after_ms == 2_000

    async def test_a_success_takes_the_counts_back(self, bench: Bench) -> None:
        """Who gets the password right starts from nothing; the address is forgiven that one attempt only."""
        store = bench.open()
        for _ in range(30):
            assert (await store.reserve_attempt(KEYS, LIMITS)).allowed
            await store.attempt_succeeded(KEYS, LIMITS)
        assert await let_in(store, KEYS, 5) == 3
        await store.attempt_succeeded(KEYS, LIMITS)
        assert await let_in(store, KEYS, 5) == 3
        await store.attempt_succeeded(KEYS, LIMITS)
        for number in range(20):
            await store.reserve_attempt(BOB_AT_HOME | {Kind.PAIR: b"%d" % number, Kind.ACCOUNT: b"%d" % number}, LIMITS)
        assert (await store.reserve_attempt(BOB_AT_HOME, LIMITS)).slowed_by is Kind.ADDRESS

    async def test_an_attempt_that_could_not_be_judged_is_taken_back(self, bench: Bench) -> None:
        """A fault of ours in the middle of a sign-in is not held against anybody."""
        store = bench.open()
        for _ in range(30):
            assert (await store.reserve_attempt(KEYS, LIMITS)).allowed
            await store.attempt_withdrawn(KEYS, LIMITS)
        assert await let_in(store, KEYS, 5) == 3

    async def test_an_attempt_that_is_taken_back_leaves_the_address_known(self, bench: Bench) -> None:
        """What was learnt by a success is not forgotten over a fault."""
        store = bench.open()
        await store.reserve_attempt(KEYS, LIMITS)
        await store.attempt_succeeded(KEYS, LIMITS)
        await store.reserve_attempt(KEYS, LIMITS)
        await store.attempt_withdrawn(KEYS, LIMITS)
        await self._besiege(bench, store)
        assert (await store.reserve_attempt(KEYS, LIMITS)).allowed

    async def test_the_owner_gets_in_from_a_known_address_however_hard_others_try(self, bench: Bench) -> None:
        """Guessing at an account from elsewhere does not lock its owner out at home."""
        store, clock = bench.open(), bench.clock
        await store.reserve_attempt(KEYS, LIMITS)
        await store.attempt_succeeded(KEYS, LIMITS)
        await self._besiege(bench, store)
        assert (await store.reserve_attempt(KEYS, LIMITS)).allowed
        stranger = KEYS | {Kind.PAIR: b"ada from a hotel", Kind.ADDRESS: b"hotel"}
        assert (await store.reserve_attempt(stranger, LIMITS)).slowed_by is Kind.ACCOUNT
        clock.advance(31 * DAY)
        await self._besiege(bench, store)
        assert (await store.reserve_attempt(KEYS, LIMITS)).slowed_by is Kind.ACCOUNT

    @staticmethod
    async def _besiege(bench: Bench, store: Store) -> None:
        """Guess at ada from elsewhere until the whole account is slowed down to a wait."""
        for number in range(40):
            keys = ELSEWHERE | {Kind.PAIR: b"pair %d" % number, Kind.ADDRESS: b"address %d" % number}
            verdict = await store.reserve_attempt(keys, LIMITS)
            if not verdict.allowed:
                assert verdict.slowed_by is Kind.ACCOUNT
                return
        raise AssertionError("the account was never slowed down")
