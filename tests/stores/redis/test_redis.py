"""The Redis store with its users in SQLite, held to the contract of every store, over a real server."""

import asyncio

from evertoken.accounts.throttle import Kind, Limits
from evertoken.sessions.keys import StoredKey
from evertoken.sessions.model import Event, EventKind
from evertoken.sessions.rotation import Outcome, Reason
from tests.stores.compliance.accounts import AccountsAndEpochs
from tests.stores.compliance.adopting import Adopting, adopted, adoption
from tests.stores.compliance.agreement import Agreement
from tests.stores.compliance.attempts import Attempts
from tests.stores.compliance.audit import AuditAndRevocations
from tests.stores.compliance.bench import DAY, IDLE, LAPTOP, Bench, add_user, refresh, signed_in
from tests.stores.compliance.endings import SignInsAndEndings
from tests.stores.compliance.keys_clients import KeysAndClients
from tests.stores.compliance.operating import Operating
from tests.stores.compliance.rotation import Rotation
from tests.stores.compliance.sweeping import MONTH, Sweeping, sweep
from tests.stores.compliance.users_joined import UsersInTheSameStep, disabling
from tests.stores.redis.bench import RedisBench


class TestAgreement(Agreement):
    """Rotation as one script on one key."""


class TestRotation(Rotation):
    """Refreshes."""


class TestUsersInTheSameStep(UsersInTheSameStep):
    """Users in another store: looked at before the session, not in the same step."""

    async def test_refreshes_at_the_moment_of_disabling_do_not_succeed_after_it(self, bench: Bench) -> None:
        """Of refreshes that race with the disabling, none that begins after it succeeds."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        racing = [asyncio.create_task(refresh(store, token)) for _ in range(20)]
        disabled = asyncio.create_task(store.change_account(disabling()))
        racing += [asyncio.create_task(refresh(store, token)) for _ in range(20)]
        await disabled
        after = [await refresh(other, token) for other in (store, bench.open())]
        assert {result.outcome for result in after} == {Outcome.GONE}
        assert {(await task).outcome for task in racing} <= {Outcome.REISSUE, Outcome.GONE}


class TestSignInsAndEndings(SignInsAndEndings):
    """Where sessions begin and end."""


class TestAccountsAndEpochs(AccountsAndEpochs):
    """Accounts."""


class TestAttempts(Attempts):
    """Throttling."""


class TestAdopting(Adopting):
    """Coming over from another library."""

    async def test_a_token_is_forgotten_once_it_has_expired(self, bench: Bench) -> None:
        """What is remembered of a foreign token goes by itself, at the instant when the token expires."""
        assert isinstance(bench, RedisBench)
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        one = adoption(clock, user)
        token = await adopted(store, one)
        left_ms = await bench.ask("PTTL", bench.keys.adoption(one.fingerprint))
        assert DAY * 1000 - 60_000 < left_ms <= DAY * 1000
        await bench.ask("PEXPIRE", bench.keys.adoption(one.fingerprint), 0)
        assert await adopted(store, adoption(clock, user)) != token
        assert await store.find(token.session_id) is not None


class TestKeysAndClients(KeysAndClients):
    """Keys and clients."""


class TestAuditAndRevocations(AuditAndRevocations):
    """The trail and the feed."""


class TestOperating(Operating):
    """What an operator asks."""


class TestSweeping(Sweeping):
    """What goes."""

    async def test_old_lines_attempts_and_retired_keys_go_and_what_is_in_use_stays(self, bench: Bench) -> None:
        """Failed sign-ins of a month ago and keys that verify nothing are removed; counters go by themselves."""
        assert isinstance(bench, RedisBench)
        store, clock = bench.open(), bench.clock
        keys = {kind: f"{kind} old".encode() for kind in Kind}
        retired = StoredKey("retired", "ES256", b"", 0, clock())
        signing = StoredKey("signing", "ES256", b"", 0, None)
        await store.save_keys([retired, signing])
        await store.record(Event(EventKind.SIGN_IN_FAILED, clock(), username="old"))
        for _ in range(8):
            await store.reserve_attempt(keys, Limits())
        for key in keys.values():
            left_ms = await bench.ask("PTTL", bench.keys.attempts(key))
            assert MONTH * 1000 - 60_000 < left_ms <= MONTH * 1000
        clock.advance(MONTH)
        await store.record(Event(EventKind.SIGN_IN_FAILED, clock(), username="new"))
        assert await sweep(store) == 0
        clock.advance(0.001)
        assert await sweep(store) == 2
        assert [line.username for line in await store.newest_events(5)] == ["new"]
        assert await store.list_keys() == [signing]

    async def test_a_session_that_redis_has_let_go_of_is_taken_out_of_every_list(self, bench: Bench) -> None:
        """Keys expire by themselves, 30 days after the session's end; the walk removes what still names them."""
        assert isinstance(bench, RedisBench)
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        key = bench.keys.session(token.session_id)
        left_ms = await bench.ask("PTTL", key)
        assert (IDLE + MONTH) * 1000 - 60_000 < left_ms <= (IDLE + MONTH) * 1000
        await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)
        assert MONTH * 1000 - 60_000 < await bench.ask("PTTL", key) <= MONTH * 1000
        await bench.ask("PEXPIRE", key, 0)
        clock.advance(MONTH)
        await sweep(store)
        clock.advance(0.001)
        assert await sweep(store) == 1
        left = await bench.ask("KEYS", "*")
        assert [name.rpartition(b":")[2] for name in left] == [b"last"]
