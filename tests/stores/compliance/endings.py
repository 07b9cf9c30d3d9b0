"""Sign-ins and endings: what begins a session, what ends it, and what is seen of it."""

from dataclasses import replace

from evertoken.sessions.model import EventKind
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.tokens.refresh_token import Delivery
from tests.stores.compliance.bench import (
    IDLE,
    LAPTOP,
    PHONE,
    Bench,
    add_user,
    new_session,
    refresh,
    sign_in,
    signed_in,
)


class SignInsAndEndings:
    """A session's life beside its refreshes."""

    async def test_a_sign_in_is_kept_with_its_event(self, bench: Bench) -> None:
        """A session is seen at once, by every worker, with its device, its dates and its line in the trail."""
        store, clock = bench.open(), bench.clock
        new = new_session(clock, await add_user(store), max_age_ms=90_000_000, caller=PHONE)
        new = replace(new, token=replace(new.token, delivery=Delivery.COOKIE))
        ended = await store.create(new)
        assert ended is not None
        assert (ended.session_ids, ended.at_ms) == ((), clock())
        found = await bench.open().find(new.token.session_id)
        assert found is not None
        assert (found.user_id, found.username, found.client_id) == ("u_ada", "ada", "web")
        assert (found.delivery, found.rotations, found.recent_rotations_ms) == (Delivery.COOKIE, 0, ())
        assert (found.created_at_ms, found.created_from, found.refreshed_at_ms) == (clock(), PHONE, clock())
        assert (found.idle_expires_at_ms, found.max_expires_at_ms) == (clock() + IDLE * 1000, clock() + 90_000_000)
        assert (found.revoked_at_ms, found.revoked_reason) == (None, None)
        (event,) = await store.timeline(new.token.session_id)
        assert (event.kind, event.user_id, event.username, event.caller) == (EventKind.SIGN_IN, "u_ada", "ada", PHONE)
        assert event.detail == {"client_id": "web", "delivery": "cookie"}
        assert [one.kind for one in ended.events] == [EventKind.SIGN_IN]

    async def test_a_session_ends_at_its_maximum_age_however_it_is_used(self, bench: Bench) -> None:
        """A refresh just before the maximum age does not lengthen the session beyond it."""
        store, clock = bench.open(), bench.clock
        token = await sign_in(store, clock, await add_user(store), max_age_ms=3_600_000)
        clock.advance(3_599.999)
        result = await refresh(store, token)
        assert (result.outcome, result.expires_at_ms) == (Outcome.REISSUE, clock() + 1)
        clock.advance(0.001)
        assert (await refresh(store, token)).reason is Reason.EXPIRED_MAX_AGE

    async def test_ending_a_session_is_final_and_announced_once(self, bench: Bench) -> None:
        """Signing out ends the session for all workers and guards; doing it again changes nothing and is no error."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        ended = await store.end(token.session_id, Reason.SIGNED_OUT, PHONE)
        assert (ended.session_ids, ended.at_ms) == ((token.session_id,), clock())
        (event,) = ended.events
        assert (event.kind, event.reason, event.username) == (EventKind.SESSION_ENDED, Reason.SIGNED_OUT, "ada")
        assert event.caller == PHONE
        clock.advance(5)
        again = await bench.open().end(token.session_id, Reason.REVOKED, PHONE)
        assert (again.session_ids, again.events) == ((), ())
        assert (await refresh(store, token)).reason is Reason.SIGNED_OUT
        assert len((await store.revocations_after(0)).session_ids) == 1

    async def test_ending_a_session_that_is_not_there_or_not_the_callers_changes_nothing(self, bench: Bench) -> None:
        """Nobody ends another user's session by knowing its id."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        assert (await store.end(b"\0" * 16, Reason.REVOKED, PHONE)).session_ids == ()
        assert (await store.end(token.session_id, Reason.REVOKED, PHONE, user_id="u_eve")).session_ids == ()
        assert (await refresh(store, token)).outcome is Outcome.REISSUE
        assert (await store.end(token.session_id, Reason.REVOKED, PHONE, user_id="u_ada")).session_ids != ()

    async def test_the_end_of_a_session_that_a_restore_has_lost_is_told_to_the_guards(self, bench: Bench) -> None:
        """Its access tokens may be good yet; once they are not, or where the session is over, there is no news."""
        store, clock = bench.open(), bench.clock
        over = await signed_in(store, clock)
        await store.end(over.session_id, Reason.SIGNED_OUT, PHONE)
        lost, until_ms = b"\1" * 16, clock() + 1000
        for session_id in (over.session_id, lost):
            ended = await bench.open().end(session_id, Reason.SIGNED_OUT, PHONE, tokens_until_ms=until_ms)
            assert ended.session_ids == ((lost,) if session_id == lost else ())
        (event,) = ended.events
        assert (event.kind, event.reason, event.user_id) == (EventKind.SESSION_ENDED, Reason.SIGNED_OUT, None)
        assert (event.caller, event.detail, event.at_ms) == (PHONE, {"lost": True}, clock())
        told = [(over.session_id, clock()), (lost, clock())]
        assert list((await store.revocations_after(0)).session_ids) == told
        assert await store.find(lost) is None
        assert await store.timeline(lost) == []
        clock.advance(1)
        ended = await store.end(b"\2" * 16, Reason.SIGNED_OUT, PHONE, tokens_until_ms=until_ms)
        assert (ended.session_ids, ended.events) == ((), ())
        assert list((await store.revocations_after(0)).session_ids) == told

    async def test_a_session_past_its_date_can_still_be_ended(self, bench: Bench) -> None:
        """A store that was rolled back may hold an older date than the token: an ending must reach it all the same."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        clock.advance(IDLE + 1)
        assert (await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)).session_ids == (token.session_id,)
        assert (await refresh(store, replace(token, issued_at_ms=clock()))).reason is Reason.SIGNED_OUT

    async def test_a_session_whose_cookie_came_along_is_replaced(self, bench: Bench) -> None:
        """Signing in anew in the same browser ends the session before, in the same commit."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        old = await sign_in(store, clock, user)
        new = new_session(clock, user, replaces=old.session_id)
        ended = await store.create(new)
        assert ended is not None
        assert ended.session_ids == (old.session_id,)
        assert [event.kind for event in ended.events] == [EventKind.SESSION_ENDED, EventKind.SIGN_IN]
        assert (await refresh(store, old)).reason is Reason.SIGNED_OUT
        assert (await refresh(store, new.token)).outcome is Outcome.REISSUE
        assert [one for one, _ in (await store.revocations_after(0)).session_ids] == [old.session_id]

    async def test_replacing_a_session_that_is_over_or_unknown_is_no_error(self, bench: Bench) -> None:
        """A stale cookie beside a sign-in does no harm."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        ended = await store.create(new_session(clock, user, replaces=b"\0" * 16))
        assert ended is not None
        assert ended.session_ids == ()

    async def test_above_the_cap_the_least_recently_used_session_ends(self, bench: Bench) -> None:
        """A user has so many sessions and no more; the one that nobody used for longest gives way."""
        store, clock = bench.open(sessions_per_user=3), bench.clock
        user = await add_user(store)
        bystander = await signed_in(store, clock, "bob")
        tokens = []
        for _ in range(3):
            clock.advance(10)
            tokens.append(await sign_in(store, clock, user))
        clock.advance(10)
        await refresh(store, tokens[0])
        clock.advance(10)
        ended = await store.create(new_session(clock, user))
        assert ended is not None
        assert ended.session_ids == (tokens[1].session_id,)
        assert ended.events[0].reason is Reason.REVOKED
        assert len(await store.list_sessions(user_id=user.id)) == 3
        assert (await refresh(store, bystander)).outcome is Outcome.REISSUE

    async def test_at_the_cap_a_sign_in_that_replaces_a_session_ends_no_other(self, bench: Bench) -> None:
        """The session that is replaced makes the room: no other device is signed out for it."""
        store, clock = bench.open(sessions_per_user=3), bench.clock
        user = await add_user(store)
        tokens = []
        for _ in range(3):
            clock.advance(10)
            tokens.append(await sign_in(store, clock, user))
        ended = await store.create(new_session(clock, user, replaces=tokens[2].session_id))
        assert ended is not None
        assert ended.session_ids == (tokens[2].session_id,)
        assert (await refresh(store, tokens[0])).outcome is Outcome.REISSUE

    async def test_sessions_that_are_over_do_not_count_against_the_cap(self, bench: Bench) -> None:
        """Expired sessions make nobody give way."""
        store, clock = bench.open(sessions_per_user=2), bench.clock
        user = await add_user(store)
        for _ in range(2):
            await sign_in(store, clock, user)
        clock.advance(IDLE)
        ended = await store.create(new_session(clock, user))
        assert ended is not None
        assert ended.session_ids == ()

    async def test_sessions_are_listed_page_by_page(self, bench: Bench) -> None:
        """A list goes on after the last id of the page before; by user, and with or without those that are over."""
        store, clock = bench.open(), bench.clock
        ada, bob = await add_user(store), await add_user(store, "bob")
        of_ada = sorted([(await sign_in(store, clock, ada)).session_id for _ in range(7)])
        of_bob = await sign_in(store, clock, bob)
        await store.end(of_ada[3], Reason.SIGNED_OUT, LAPTOP)
        everything = sorted([*of_ada, of_bob.session_id])
        pages, after = [], None
        while page := await store.list_sessions(live_only=False, after=after, limit=3):
            pages.append([record.id for record in page])
            after = page[-1].id
        assert [len(page) for page in pages] == [3, 3, 2]
        assert [one for page in pages for one in page] == everything
        live = [record.id for record in await store.list_sessions(user_id=ada.id)]
        assert live == [one for one in of_ada if one != of_ada[3]]
        clock.advance(IDLE)
        assert await store.list_sessions() == []
        assert len(await store.list_sessions(live_only=False)) == 8

    async def test_live_sessions_are_counted_by_the_secret_of_their_last_token(self, bench: Bench) -> None:
        """Before a secret is dropped an operator sees how many would be signed out by it."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        news = [new_session(clock, user) for _ in range(5)]
        tokens = [replace(new.token, key_id=b"old!") for new in news]
        for new, token in zip(news, tokens, strict=True):
            await store.create(replace(new, token=token))
        assert await store.sessions_per_secret() == {b"old!": 5}
        await refresh(store, replace(tokens[0], key_id=b"new!"))
        await store.end(tokens[1].session_id, Reason.SIGNED_OUT, LAPTOP)
        assert await store.sessions_per_secret() == {b"old!": 3, b"new!": 1}
        clock.advance(IDLE)
        assert await store.sessions_per_secret() == {}
