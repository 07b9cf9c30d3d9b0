"""Refresh tokens of other libraries, each swapped for one session and never for two."""

import asyncio
from dataclasses import replace
from typing import Any

from evertoken.accounts.users import User
from evertoken.sessions.model import AccountChange, Adoption, EventKind
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.store import Store
from evertoken.tokens.refresh_token import NO_PARENT, Delivery, RefreshToken
from tests.stores.compliance.bench import DAY, PHONE, RIPE, Bench, add_user, child, new_session, refresh, sign_in
from tests.stores.compliance.sweeping import sweep
from tests.support.clock import MovingClock

FINGERPRINT = bytes(range(32))


def adoption(clock: MovingClock, user: User, **fields: Any) -> Adoption:
    """A token that is good for a day, on its way to become a session of this user."""
    session = new_session(clock, user, adopted_from="simplejwt")
    return replace(Adoption(FINGERPRINT, clock() + DAY * 1000, session), **fields)


async def adopted(store: Store, one: Adoption) -> RefreshToken:
    """Swap it; the token that it stands for."""
    found = await store.adopt(one)
    assert found is not None
    return RefreshToken(found.session_id, 0, found.tag, NO_PARENT, found.issued_at_ms, Delivery.BODY)


class Adopting:
    """A foreign token is the first refresh token of one session."""

    async def test_a_foreign_token_begins_a_session_and_stands_for_it_ever_after(self, bench: Bench) -> None:
        """However often and through however many workers it is presented, one session begins."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        attempts = [adoption(clock, user) for _ in range(20)]
        stores = [store, bench.open()]
        found = await asyncio.gather(*(adopted(stores[n % 2], one) for n, one in enumerate(attempts)))
        assert len(set(found)) == 1
        [session] = await store.list_sessions(user_id=user.id)
        assert session.id == found[0].session_id
        [event] = await store.timeline(session.id)
        assert event.kind is EventKind.SIGN_IN
        assert event.detail["adopted_from"] == "simplejwt"

    async def test_it_is_judged_like_any_refresh_token_of_the_session(self, bench: Bench) -> None:
        """Good until its successor has been presented, a replay thereafter."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        token = await adopted(store, adoption(clock, user))
        successor = child(token, await refresh(store, token))
        clock.advance(RIPE)
        assert (await refresh(store, await adopted(store, adoption(clock, user)))).outcome is Outcome.REISSUE
        assert (await refresh(store, successor)).outcome is Outcome.ADVANCE
        again = await adopted(store, adoption(clock, user))
        assert again == token
        assert (await refresh(store, again)).outcome is Outcome.STALE
        clock.advance(RIPE)
        assert (await refresh(store, again)).outcome is Outcome.REPLAY
        assert (await refresh(store, successor)).reason is Reason.REPLAYED

    async def test_it_does_not_come_back_after_its_session_has_ended(self, bench: Bench) -> None:
        """Whoever signs out cannot be signed in again by the token that began the session."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        token = await adopted(store, adoption(clock, user))
        await store.end(token.session_id, Reason.SIGNED_OUT, PHONE)
        again = await adopted(store, adoption(clock, user))
        assert again == token
        assert (await refresh(store, again)).reason is Reason.SIGNED_OUT

    async def test_a_swap_that_is_not_stored_does_not_use_the_token_up(self, bench: Bench) -> None:
        """When the account changes at that moment nothing is stored, and the token may be presented again."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        stale = adoption(clock, user)
        await store.change_account(AccountChange(user.id, Reason.SIGNED_OUT, EventKind.SIGNED_OUT_EVERYWHERE))
        rows = await bench.count_rows()
        assert await store.adopt(stale) is None
        assert await bench.count_rows() == rows
        assert await store.adopt(adoption(clock, replace(user, epoch=1))) is not None

    async def test_a_swap_makes_room_like_any_sign_in(self, bench: Bench) -> None:
        """Above the number of sessions that a user may have, the least used one ends."""
        store, clock = bench.open(sessions_per_user=1), bench.clock
        user = await add_user(store)
        before = await sign_in(store, clock, user)
        found = await store.adopt(adoption(clock, user))
        assert found is not None
        assert found.ended.session_ids == (before.session_id,)
        again = await store.adopt(adoption(clock, user))
        assert again is not None
        assert (again.ended.session_ids, again.ended.events) == ((), ())

    async def test_a_token_is_forgotten_once_it_has_expired(self, bench: Bench) -> None:
        """What is remembered of foreign tokens goes with them; until then it stays."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        token = await adopted(store, adoption(clock, user))
        clock.advance(DAY)
        rows = await bench.count_rows()
        assert await sweep(store) == 0
        assert await adopted(store, adoption(clock, user)) == token
        clock.advance(0.001)
        assert await sweep(store) == rows - await bench.count_rows() == 1
        assert await store.find(token.session_id) is not None
