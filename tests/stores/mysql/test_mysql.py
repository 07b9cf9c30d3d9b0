"""The MariaDB and MySQL store, held to the contract of every store, over a real server."""

import asyncio
from dataclasses import replace

import pytest

from evertoken.clock import system_clock
from evertoken.sessions.group_commit import GroupCommit
from evertoken.sessions.model import AccountChange, Caller, Event, EventKind, RotationRequest
from evertoken.sessions.operating import SessionSearch
from evertoken.sessions.rotation import Outcome, Reason, Row
from evertoken.stores.mysql import operating
from evertoken.stores.mysql.statements import Sql
from evertoken.stores.mysql.transaction import NOW, announcement
from evertoken.tokens.refresh_token import child_of
from tests.stores.compliance.accounts import AccountsAndEpochs
from tests.stores.compliance.adopting import Adopting
from tests.stores.compliance.agreement import Agreement
from tests.stores.compliance.attempts import Attempts
from tests.stores.compliance.audit import AuditAndRevocations
from tests.stores.compliance.bench import (
    LAPTOP,
    PHONE,
    POLICY,
    add_user,
    new_session,
    refresh,
    sign_in,
    signed_in,
)
from tests.stores.compliance.endings import SignInsAndEndings
from tests.stores.compliance.keys_clients import KeysAndClients
from tests.stores.compliance.operating import OperatingByWindows, pages
from tests.stores.compliance.rotation import Rotation
from tests.stores.compliance.sweeping import Sweeping
from tests.stores.compliance.users_joined import UsersInTheSameDatabase
from tests.stores.mysql.bench import MariadbBench


class TestAgreement(Agreement):
    """Rotation as one conditional UPDATE for a whole batch."""


class TestRotation(Rotation):
    """Refreshes."""

    async def test_what_counts_is_the_clock_of_the_database(self, bench: MariadbBench) -> None:
        """Machines whose clocks differ agree, for none of them is asked what time it is."""
        store = bench.open(by_its_own_clock=True)
        token = await signed_in(store, bench.clock)
        async with bench.connection() as connection:
            tell = f"SELECT {NOW}"
            before = await connection.fetchval(tell, None)
            result = await refresh(store, token)
            after = await connection.fetchval(tell, None)
        assert before <= result.now_ms <= after
        ended = await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)
        assert after <= ended.at_ms
        assert abs(after - system_clock()) < 60_000  # this machine's clock and the database's are one, here

    async def test_batches_of_several_machines_over_the_same_sessions_all_end(self, bench: MariadbBench) -> None:
        """Machines that are shown the same tokens at once make one chain of each session, and none waits for ever."""
        machines = [bench.open(policy=replace(POLICY, overlap_ms=0)) for _ in range(3)]
        user = await add_user(machines[0])
        tokens = [await sign_in(machines[0], bench.clock, user) for _ in range(30)]
        queues = [GroupCommit(machine.rotate) for machine in machines]
        for _ in range(5):
            tokens = [child_of(token, now_ms=bench.clock()) for token in tokens]
            async with asyncio.timeout(30):
                results = await asyncio.gather(
                    *(queue.submit(RotationRequest(token, LAPTOP)) for queue in queues for token in tokens)
                )
            told = [{results[place].outcome for place in range(number, 90, 30)} for number in range(30)]
            assert all(Outcome.ADVANCE in outcomes for outcomes in told)
            assert set.union(*told) <= {Outcome.ADVANCE, Outcome.REISSUE}


class TestUsersInTheSameDatabase(UsersInTheSameDatabase):
    """Users beside their sessions."""

    async def raise_epochs(self, bench: MariadbBench) -> None:
        async with bench.connection() as own:
            await own.run("UPDATE [users] SET epoch = epoch + 1")


class TestSignInsAndEndings(SignInsAndEndings):
    """Where sessions begin and end."""

    @pytest.mark.parametrize("users_elsewhere", [False, True])
    async def test_sign_ins_at_two_machines_at_once_keep_to_the_cap(
        self, bench: MariadbBench, *, users_elsewhere: bool
    ) -> None:
        """A user who signs in everywhere at the same moment has no more sessions in the end than are allowed."""
        machines = [bench.open(sessions_per_user=3, users_elsewhere=users_elsewhere) for _ in range(2)]
        user = await add_user(machines[0])
        async with asyncio.timeout(30):
            await asyncio.gather(*(sign_in(machines[number % 2], bench.clock, user) for number in range(20)))
        assert await machines[0].live_sessions_of([user.id]) == {user.id: 3}
        assert len((await machines[1].revocations_after(0)).session_ids) == 17

    async def test_a_sign_in_beside_a_change_of_the_password_does_not_outlive_it(self, bench: MariadbBench) -> None:
        """Whichever machine is quicker, no session of the old password is left that anybody could refresh."""
        machines = [bench.open() for _ in range(2)]
        user = await add_user(machines[0])
        news = [new_session(bench.clock, user) for _ in range(10)]
        change = AccountChange(user.id, Reason.PASSWORD_CHANGED, EventKind.PASSWORD_CHANGED, password_hash="new")
        begun = [asyncio.create_task(machines[0].create(new)) for new in news[:5]]
        changed = asyncio.create_task(machines[1].change_account(change))
        begun += [asyncio.create_task(machines[0].create(new)) for new in news[5:]]
        async with asyncio.timeout(30):
            ended = await changed
            stored = [new for new, task in zip(news, begun, strict=True) if await task is not None]
        assert ended is not None
        assert set(ended.session_ids) == {new.token.session_id for new in stored}
        assert await machines[0].live_sessions_of([user.id]) == {}

    async def test_thousands_of_sessions_of_one_user_end_together(self, bench: MariadbBench) -> None:
        """Sign out everywhere is one transaction, however many there are, and each has its number in the feed."""
        store, count = bench.open(), 3_000
        alive = Row(b"tag", None, 0, 0, bench.clock() + 1_000)
        session_ids = [number.to_bytes(16, "big") for number in range(count)]
        await bench.put_rows(dict.fromkeys(session_ids, alive))
        change = AccountChange("u", Reason.REVOKED, EventKind.SIGNED_OUT_EVERYWHERE)
        ended = await store.change_account(change)
        assert ended is not None
        assert sorted(ended.session_ids) == session_ids
        followed = await store.revocations_after(0)
        assert sorted(session_id for session_id, _ in followed.session_ids) == session_ids
        assert followed.cursor == await store.newest_revocation() == bench.clock() * 1000 + count


class TestAccountsAndEpochs(AccountsAndEpochs):
    """Accounts."""


class TestAttempts(Attempts):
    """Throttling."""


class TestAdopting(Adopting):
    """Coming over from another library."""


class TestKeysAndClients(KeysAndClients):
    """Keys and clients."""


class TestAuditAndRevocations(AuditAndRevocations):
    """The trail and the feed."""

    async def test_a_revocation_is_not_seen_before_one_with_a_lower_number(self, bench: MariadbBench) -> None:
        """Where a later sign-out would be committed first, it waits: who follows the numbers misses none of them."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        first, second = [await sign_in(store, clock, user) for _ in range(2)]
        async with bench.connection() as slow:
            await slow.run(Sql("BEGIN;" + announcement([first.session_id], clock(), "")))
            ending = asyncio.create_task(store.end(second.session_id, Reason.SIGNED_OUT, LAPTOP))
            await bench.until_somebody_waits()
            assert (await store.revocations_after(0)).session_ids == ()
            await slow.run("COMMIT")
            assert (await ending).session_ids == (second.session_id,)
        followed = await store.revocations_after(0)
        assert [session_id for session_id, _ in followed.session_ids] == [first.session_id, second.session_id]

    async def test_who_follows_while_several_machines_revoke_hears_of_each_once(self, bench: MariadbBench) -> None:
        """However commits overtake each other, a follower that only ever asks for what is new misses nothing."""
        machines = [bench.open() for _ in range(4)]
        user = await add_user(machines[0])
        tokens = [await sign_in(machines[0], bench.clock, user) for _ in range(60)]
        heard: list[bytes] = []

        async def follow() -> None:
            cursor = 0
            while len(heard) < len(tokens):
                page = await machines[0].revocations_after(cursor)
                heard.extend(session_id for session_id, _ in page.session_ids)
                cursor = page.cursor

        async with asyncio.timeout(30):
            await asyncio.gather(
                follow(),
                *(
                    machines[number % 4].end(token.session_id, Reason.REVOKED, PHONE)
                    for number, token in enumerate(tokens)
                ),
            )
        assert sorted(heard) == sorted(token.session_id for token in tokens)

    async def test_the_numbers_go_on_above_those_of_before_a_restore(self, bench: MariadbBench) -> None:
        """After a backup was put back, guards that follow by number still hear of what is revoked then."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        lost, later = [await sign_in(store, clock, user) for _ in range(2)]
        await store.end(lost.session_id, Reason.REVOKED, PHONE)
        cursor = (await store.revocations_after(0)).cursor
        async with bench.connection() as connection:
            await connection.run("DELETE FROM [revocations]; UPDATE [revocation_counter] SET last = 0")
        clock.advance(1)
        await store.end(later.session_id, Reason.REVOKED, PHONE)
        assert [one for one, _ in (await store.revocations_after(cursor)).session_ids] == [later.session_id]

    async def test_odd_texts_are_kept_as_well_as_can_be(self, bench: MariadbBench) -> None:
        """A NUL, half a surrogate pair or a very long text from a stranger is no fault of ours, and hides no event."""
        store, clock = bench.open(), bench.clock
        odd = Caller("192.0.2.1", "Tele\0phone \ud800 \U0001f600" + "x" * 1000)
        token = await sign_in(store, clock, await add_user(store), caller=odd)
        assert (await refresh(store, token, odd)).outcome is Outcome.REISSUE
        await store.record(Event(EventKind.SIGN_IN_FAILED, clock(), username="a\0da \udfff", caller=odd))
        (event,) = await store.newest_events(1)
        assert event.username == "a\0da ?"
        found = await store.find(token.session_id)
        assert found is not None
        assert (found.created_from.device, found.refreshed_from.device) == (
            ("Tele\0phone ? \U0001f600" + "x" * 1000)[:512],
        ) * 2
        for text in ("\0", "\ud800"):
            assert await store.find_by_key(text) is None
            assert await store.find_by_id(text) is None
            assert await store.find_client(text) is None
            assert await pages(store, SessionSearch(text + "x")) == []
            assert (await store.search_users(text, after=text, limit=3)).users == ()


class TestOperating(OperatingByWindows):
    """What an operator asks."""

    lists = operating


class TestSweeping(Sweeping):
    """What goes."""
