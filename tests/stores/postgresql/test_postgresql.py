"""The PostgreSQL store, held to the contract of every store, over a real server."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from evertoken.sessions.group_commit import GroupCommit
from evertoken.sessions.model import AccountChange, Caller, Event, EventKind, RotationRequest
from evertoken.sessions.operating import SessionSearch
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.postgresql import operating
from evertoken.stores.postgresql.connection import Connection
from evertoken.stores.postgresql.transaction import announcement
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
    RIPE,
    add_user,
    new_session,
    refresh,
    sign_in,
    signed_in,
)
from tests.stores.compliance.endings import SignInsAndEndings
from tests.stores.compliance.everything import use_everything
from tests.stores.compliance.keys_clients import KeysAndClients
from tests.stores.compliance.operating import OperatingByWindows, pages
from tests.stores.compliance.rotation import Rotation
from tests.stores.compliance.sweeping import Sweeping
from tests.stores.compliance.users_joined import UsersInTheSameDatabase
from tests.stores.postgresql.bench import PostgresBench


class TestAgreement(Agreement):
    """Rotation as one conditional UPDATE for a whole batch."""


class TestRotation(Rotation):
    """Refreshes."""

    async def test_a_thousand_successions_of_a_session_take_no_more_room_than_a_few(self, bench: PostgresBench) -> None:
        """Each new version of a row stays on its page and touches no index: neither the table nor an index grows."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        tokens = [await sign_in(store, clock, user) for _ in range(20)]
        for _ in range(20):
            tokens = [child_of(token, now_ms=clock() - RIPE * 1000) for token in tokens]
            await store.rotate([RotationRequest(token, LAPTOP) for token in tokens])
        sizes = await self._sizes(bench)
        for _ in range(100):
            tokens = [child_of(token, now_ms=clock() - RIPE * 1000) for token in tokens]
            results = await store.rotate([RotationRequest(token, LAPTOP) for token in tokens])
            assert {result.outcome for result in results} == {Outcome.ADVANCE}
        table = sizes.pop("sessions"), (after := await self._sizes(bench)).pop("sessions")
        assert after == sizes
        assert table[1] <= table[0] + 2 * 8192

    @staticmethod
    async def _sizes(bench: PostgresBench) -> dict[str, int]:
        async with bench.connection() as connection:
            rows = await connection.fetch(
                "SELECT relname, pg_relation_size(oid) FROM pg_class"
                " WHERE relname LIKE 'sessions%' AND relnamespace = 'evertoken'::regnamespace"
            )
        assert len(rows) == 5
        return {row[0]: row[1] for row in rows}

    async def test_what_counts_is_the_clock_of_the_database(self, bench: PostgresBench) -> None:
        """Machines whose clocks differ agree, for none of them is asked what time it is."""
        store = bench.open(by_its_own_clock=True)
        token = await signed_in(store, bench.clock)
        async with bench.connection() as connection:
            tell = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
            before = await connection.fetchval(tell)
            result = await refresh(store, token)
            after = await connection.fetchval(tell)
        assert before <= result.now_ms <= after
        ended = await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)
        assert after <= ended.at_ms

    async def test_batches_of_several_machines_over_the_same_sessions_all_end(self, bench: PostgresBench) -> None:
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

    async def raise_epochs(self, bench: PostgresBench) -> None:
        async with bench.connection() as connection:
            await connection.execute("UPDATE users SET epoch = epoch + 1")


class TestSignInsAndEndings(SignInsAndEndings):
    """Where sessions begin and end."""

    @pytest.mark.parametrize("users_elsewhere", [False, True])
    async def test_sign_ins_at_two_machines_at_once_keep_to_the_cap(
        self, bench: PostgresBench, *, users_elsewhere: bool
    ) -> None:
        """A user who signs in everywhere at the same moment has no more sessions in the end than are allowed."""
        machines = [bench.open(sessions_per_user=3, users_elsewhere=users_elsewhere) for _ in range(2)]
        user = await add_user(machines[0])
        async with asyncio.timeout(30):
            await asyncio.gather(*(sign_in(machines[number % 2], bench.clock, user) for number in range(20)))
        assert await machines[0].live_sessions_of([user.id]) == {user.id: 3}
        assert len((await machines[1].revocations_after(0)).session_ids) == 17

    async def test_a_sign_in_beside_a_change_of_the_password_does_not_outlive_it(self, bench: PostgresBench) -> None:
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

    async def test_a_revocation_is_not_seen_before_one_with_a_lower_number(self, bench: PostgresBench) -> None:
        """Where a later sign-out would be committed first, it waits: who follows the numbers misses none of them."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        first, second = [await sign_in(store, clock, user) for _ in range(2)]
        async with bench.connection() as slow:
            async with slow.transaction():
                await slow.execute(announcement([first.session_id], clock()))
                ending = asyncio.create_task(store.end(second.session_id, Reason.SIGNED_OUT, LAPTOP))
                async with asyncio.timeout(30):
                    while not await slow.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                        await asyncio.sleep(0.005)
                assert (await store.revocations_after(0)).session_ids == ()
            assert (await ending).session_ids == (second.session_id,)
        followed = await store.revocations_after(0)
        assert [session_id for session_id, _ in followed.session_ids] == [first.session_id, second.session_id]

    async def test_who_follows_while_several_machines_revoke_hears_of_each_once(self, bench: PostgresBench) -> None:
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

    async def test_the_numbers_go_on_above_those_of_before_a_restore(self, bench: PostgresBench) -> None:
        """After a backup was put back, guards that follow by number still hear of what is revoked then."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        lost, later = [await sign_in(store, clock, user) for _ in range(2)]
        await store.end(lost.session_id, Reason.REVOKED, PHONE)
        cursor = (await store.revocations_after(0)).cursor
        async with bench.connection() as connection:
            await connection.execute("DELETE FROM revocations; UPDATE revocation_counter SET last = 0")
        clock.advance(1)
        await store.end(later.session_id, Reason.REVOKED, PHONE)
        assert [one for one, _ in (await store.revocations_after(cursor)).session_ids] == [later.session_id]

    async def test_texts_that_postgresql_cannot_keep_are_kept_as_well_as_can_be(self, bench: PostgresBench) -> None:
        """A NUL or half a surrogate pair in what a stranger sends is no fault of ours, and hides no event."""
        store, clock = bench.open(), bench.clock
        odd = Caller("192.0.2.1", "Tele\0phone \ud800")
        token = await sign_in(store, clock, await add_user(store), caller=odd)
        assert (await refresh(store, token, odd)).outcome is Outcome.REISSUE
        await store.record(Event(EventKind.SIGN_IN_FAILED, clock(), username="a\0da \udfff", caller=odd))
        (event,) = await store.newest_events(1)
        assert event.username == "a\ufffdda ?"
        found = await store.find(token.session_id)
        assert found is not None
        assert (found.created_from.device, found.refreshed_from.device) == ("Tele\ufffdphone ?",) * 2
        for text in ("\0", "\ud800"):
            assert await store.find_by_key(text) is None
            assert await store.find_by_id(text) is None
            assert await store.find_client(text) is None
            assert await pages(store, SessionSearch(text + "x")) == []
            assert (await store.search_users(text, after=text, limit=3)).users == ()


class TestOperating(OperatingByWindows):
    """What an operator asks."""

    lists = operating

    async def test_no_statement_walks_a_table(self, bench: PostgresBench) -> None:
        """However many sessions, users and events there are, each statement finds its rows by an index."""
        store = bench.open()
        await use_everything(store, bench)
        plans = await store._pool.read(_plans) | await store._pool.refresh(_plans)
        assert len(plans) > 40
        walks = {statement for statement, plan in plans.items() if any(_walks(node) for node in _nodes(plan))}
        counted = [statement for statement in walks if "count(*)" in statement]
        # Counted from the index alone, and asked by operators; tables of a few rows; and a walk that ends at its limit.
        assert {statement for statement in walks if "count(*)" not in statement} == {
            statement
            for statement in walks
            if "FROM signing_keys" in statement or "FROM clients" in statement or "FROM events ORDER BY id" in statement
        }
        assert len(counted) == 2, counted


class TestSweeping(Sweeping):
    """What goes."""


async def _plans(connection: Connection) -> dict[str, Any]:
    """What the server does for each statement that this connection has used, whatever stands in its parameters."""
    prepared = await connection.fetch(
        "SELECT name, statement, cardinality(parameter_types) FROM pg_prepared_statements"
        " WHERE statement ~* '^\\s*(SELECT|UPDATE|DELETE|INSERT|WITH)' AND statement !~ 'pg_|typeinfo_tree|set_config'"
    )
    plans: dict[str, Any] = {}
    for name, statement, count in prepared:
        given = f"({', '.join(['NULL'] * count)})" if count else ""
        (row,) = await connection.fetch(f"EXPLAIN (FORMAT JSON) EXECUTE {name}{given}")
        plans[statement] = json.loads(row[0])[0]["Plan"]
    return plans


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _walks(node: dict[str, Any]) -> bool:
    """Whether a node of a plan reads a table without saying where."""
    if not {"Relation Name", "Index Name"} & set(node) or node["Node Type"] in {"ModifyTable", "Bitmap Heap Scan"}:
        return False
    return "Index Cond" not in node and "TID Cond" not in node
