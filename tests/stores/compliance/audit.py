"""The audit trail, and the feed that guards follow."""

from evertoken.sessions.model import AccountChange, Event, EventKind
from evertoken.sessions.rotation import Reason
from tests.stores.compliance.bench import LAPTOP, PHONE, Bench, add_user, refresh, sign_in, signed_in


class AuditAndRevocations:
    """What is told to people, and what is told to guards."""

    async def test_the_timeline_of_a_session_is_its_story_in_order(self, bench: Bench) -> None:
        """From the sign-in to the ending every unusual thing is there, oldest first, and nothing of other sessions."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        other = await signed_in(store, clock, "bob")
        clock.advance(5)
        await refresh(store, token)
        clock.advance(5)
        await store.end(token.session_id, Reason.SIGNED_OUT, PHONE)
        await store.end(other.session_id, Reason.REVOKED, PHONE)
        lines = await bench.open().timeline(token.session_id)
        assert [(line.kind, line.at_ms, line.count) for line in lines] == [
            (EventKind.SIGN_IN, clock() - 10_000, 1),
            (EventKind.SESSION_ENDED, clock(), 1),
        ]
        assert [(line.caller, line.reason) for line in lines] == [(LAPTOP, None), (PHONE, "signed_out")]
        assert await store.timeline(b"\0" * 16) == []

    async def test_a_line_comes_back_as_it_was_recorded(self, bench: Bench) -> None:
        """What the edge records, for example a failed sign-in, is kept word for word."""
        store, clock = bench.open(), bench.clock
        line = Event(
            EventKind.SIGN_IN_FAILED,
            clock(),
            username="Robert'); DROP TABLE users; -- ü 名 🐚",
            caller=PHONE,
            reason="address",
            detail={"text": "ü", "number": 3, "none": None, "list": [1, 2]},
            count=4,
            last_at_ms=clock() + 9,
        )
        await store.record(line)
        assert await store.newest_events(5) == [line]

    async def test_the_newest_lines_come_first(self, bench: Bench) -> None:
        """An operator who looks at the trail sees what happened last."""
        store, clock = bench.open(), bench.clock
        for number in range(5):
            await store.record(Event(EventKind.SIGN_IN_FAILED, clock(), username=f"user-{number}"))
        assert [line.username for line in await store.newest_events(3)] == ["user-4", "user-3", "user-2"]

    async def test_revocations_are_read_in_the_order_of_their_commits_from_a_cursor(self, bench: Bench) -> None:
        """A guard that remembers its cursor is told every revocation once, whatever ended the session."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        tokens = [await sign_in(store, clock, user) for _ in range(6)]
        nothing = await store.revocations_after(0)
        assert nothing.session_ids == ()
        expected = []
        for token in tokens[:3]:
            clock.advance(1)
            await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)
            expected.append((token.session_id, clock()))
        page = await bench.open().revocations_after(nothing.cursor)
        assert page.session_ids == tuple(expected)
        assert (await store.revocations_after(page.cursor)) == type(page)((), page.cursor)
        clock.advance(-30)
        await store.change_account(AccountChange(user.id, Reason.REVOKED, EventKind.SIGNED_OUT_EVERYWHERE))
        rest = await store.revocations_after(page.cursor)
        assert {one for one, _ in rest.session_ids} == {token.session_id for token in tokens[3:]}
        assert {at for _, at in rest.session_ids} == {clock()}
        assert len((await store.revocations_after(0)).session_ids) == 6
        assert 0 < rest.cursor < 2**53
