"""What an operator asks: lists to page through, figures, and who is there."""

import asyncio
from dataclasses import replace
from types import ModuleType

import pytest

from evertoken.sessions.model import AccountChange, Caller, Event, EventKind, session_id_text
from evertoken.sessions.operating import (
    Happened,
    SessionCursor,
    SessionSearch,
    UserTally,
)
from evertoken.sessions.rotation import Reason
from evertoken.stores.store import Store
from tests.stores.compliance.bench import DAY, IDLE, LAPTOP, PHONE, Bench, add_user, refresh, sign_in, signed_in

NAMES = ("100%_sure", "10000 sure", "STRAßE", "Ünïcødé 名", "a'b\"c", "back\\slash")
FULL_WIDTH_READ = "\uff32\uff25\uff21\uff24"


async def pages(store: Store, search: SessionSearch) -> list[bytes]:
    """The ids on every page, in order."""
    found: list[bytes] = []
    while True:
        page = await store.search_sessions(search)
        assert len(page.sessions) <= search.limit
        found += (record.id for record in page.sessions)
        if page.after is None:
            return found
        search = replace(search, after=page.after)


class Operating:
    """Questions that change nothing, and the one answer that does."""

    async def test_the_list_of_sessions_goes_from_the_newest_to_the_oldest_page_by_page(self, bench: Bench) -> None:
        """Every session stands on exactly one page, those of one millisecond too, however long the pages are."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        expected: list[tuple[int, bytes]] = []
        for number in range(12):
            clock.advance(number % 3)
            expected.append((clock(), (await sign_in(store, clock, user)).session_id))
        expected.sort(reverse=True)
        for limit in (1, 5, 12, 13):
            assert await pages(store, SessionSearch(limit=limit)) == [session_id for _, session_id in expected]
        before_all = SessionSearch(after=SessionCursor(0, bytes(16)))
        assert (await store.search_sessions(before_all)).sessions == ()

    async def test_a_store_tells_the_time_by_which_it_decides(self, bench: Bench) -> None:
        """Machines ask it for its time, so that they go by the same."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        clock.advance(17)
        told_ms = await store.now_ms()
        record = await store.find((await sign_in(store, clock, user)).session_id)
        assert record is not None
        assert told_ms == record.created_at_ms == clock()

    async def test_a_search_finds_names_addresses_devices_and_ids_by_a_part(self, bench: Bench) -> None:
        """Case makes no difference for ASCII, nor for the names of our own users; both ends of a session are seen."""
        store, clock = bench.open(), bench.clock
        ada = await add_user(store, "Ada Lovelace")
        bob = await add_user(store, "bob")
        hers = await sign_in(store, clock, ada)
        his = await sign_in(store, clock, bob, caller=Caller("2001:db8::7", "Firefox 名"))
        await refresh(store, his, PHONE)
        for part, token in (
            ("ADA L", hers),
            ("love", hers),
            ("bob", his),
            ("DB8::7", his),
            ("firefox", his),
            ("x 名", his),
            ("198.51", his),
            ("phone", his),
            (session_id_text(his.session_id), his),
            (session_id_text(his.session_id)[:6], his),
            (session_id_text(hers.session_id)[:21], hers),
        ):
            assert await pages(store, SessionSearch(part)) == [token.session_id], part
        assert await pages(store, SessionSearch(session_id_text(his.session_id)[1:8])) == []
        assert await pages(store, SessionSearch("bob", user_id=ada.id)) == []
        assert await pages(store, SessionSearch(user_id=ada.id)) == [hers.session_id]

    @pytest.mark.parametrize("name", NAMES)
    async def test_no_character_of_a_search_has_a_meaning_of_its_own(self, bench: Bench, name: str) -> None:
        """Percent signs, underscores, quotes and backslashes are looked for as they are."""
        store, clock = bench.open(), bench.clock
        tokens = {other: await signed_in(store, clock, other) for other in NAMES}
        assert await pages(store, SessionSearch(name)) == [tokens[name].session_id]
        page = await store.search_users(name, after=None, limit=10)
        assert [user.username for user in page.users] == [name]
        for nothing in ("%", "_sure"):
            found = await store.search_users(nothing, after=None, limit=10)
            assert {user.username for user in found.users} == {"100%_sure"}

    async def test_only_live_sessions_are_listed_unless_all_are_asked_for(self, bench: Bench) -> None:
        """What was ended or has expired is there for whoever wants to see it."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        short = await sign_in(store, clock, user, max_age_ms=1_000)
        ended = await sign_in(store, clock, user)
        live = await sign_in(store, clock, user)
        await store.end(ended.session_id, Reason.REVOKED, PHONE)
        clock.advance(1)
        assert await pages(store, SessionSearch()) == [live.session_id]
        everything = {token.session_id for token in (short, ended, live)}
        for limit in (1, 10):
            assert set(await pages(store, SessionSearch(live_only=False, limit=limit))) == everything

    async def test_tallies_count_each_users_sessions_by_what_has_become_of_them(self, bench: Bench) -> None:
        """Live, expired, and able to have a good access token still; what was ended is counted elsewhere."""
        store, clock = bench.open(), bench.clock
        ada, bob = await add_user(store), await add_user(store, "bob")
        await sign_in(store, clock, ada)
        clock.advance(IDLE - 10)
        begun_ms = clock()
        await sign_in(store, clock, ada, max_age_ms=5_000)
        await sign_in(store, clock, ada)
        await store.end((await sign_in(store, clock, bob)).session_id, Reason.SIGNED_OUT, PHONE)
        clock.advance(10)
        (tally,) = await store.tally_users(fresh_after_ms=begun_ms - 1, after=None, limit=10)
        assert tally == UserTally(ada.id, "ada", live=1, expired_idle=1, expired_max_age=1, fresh=2)
        (later,) = await store.tally_users(fresh_after_ms=begun_ms, after=None, limit=10)
        assert later.fresh == 0
        assert await store.live_sessions_of([ada.id, bob.id, "nobody"]) == {ada.id: 1}
        assert await store.live_sessions_of([]) == {}

    async def test_tallies_come_in_pages_of_users(self, bench: Bench) -> None:
        """A page goes on behind the last user of the page before."""
        store, clock = bench.open(), bench.clock
        for number in range(5):
            await signed_in(store, clock, f"user-{number}")
        first = await store.tally_users(fresh_after_ms=0, after=None, limit=2)
        rest = await store.tally_users(fresh_after_ms=0, after=first[-1].user_id, limit=9)
        assert [tally.username for tally in (*first, *rest)] == [f"user-{number}" for number in range(5)]

    async def test_what_happened_is_counted_between_two_instants(self, bench: Bench) -> None:
        """The first instant belongs to it and the second does not; folded events count as often as they happened."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        token = await sign_in(store, clock, user)
        other = await sign_in(store, clock, user)
        begun_ms = clock()
        clock.advance(10)
        await store.end(token.session_id, Reason.SIGNED_OUT, PHONE)
        await store.end(other.session_id, Reason.REVOKED, PHONE)
        await store.record(Event(EventKind.STALE, begun_ms, count=7, last_at_ms=clock()))
        nothing = Happened({}, {})
        assert await store.happened(from_ms=0, until_ms=begun_ms) == nothing
        assert await store.happened(from_ms=begun_ms, until_ms=clock()) == Happened({"sign_in": 2}, {})
        ended = {Reason.SIGNED_OUT: 1, Reason.REVOKED: 1}
        assert await store.happened(from_ms=clock(), until_ms=clock() + 1) == Happened(
            {"session_ended": 2, "stale": 7}, ended
        )
        assert await store.ended_sessions() == ended
        clock.advance(40 * DAY)
        while await store.sweep() is not None:
            pass
        assert await store.ended_sessions() == {}

    async def test_users_are_found_by_a_part_of_their_name_page_by_page(self, bench: Bench) -> None:
        """Case and width make no difference; every user stands on one page."""
        store = bench.open()
        for number in range(7):
            await add_user(store, f"Reader {number}")
        await add_user(store, "writer")
        found: list[str] = []
        after = None
        while True:
            page = await store.search_users(FULL_WIDTH_READ, after=after, limit=3)
            found += (user.username for user in page.users)
            after = page.after
            if after is None:
                break
        assert found == [f"Reader {number}" for number in range(7)]
        assert len((await store.search_users("", after=None, limit=100)).users) == 8
        assert (await store.search_users("nobody", after=None, limit=3)).users == ()
        assert (await store.search_users("", after="\U0010ffff", limit=3)).users == ()

    async def test_users_are_counted_and_the_disabled_ones_too(self, bench: Bench) -> None:
        """A user who is enabled again is not counted as disabled any more, and what was ended stays ended."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        await add_user(store, "bob")
        operator = replace(LAPTOP, operator="u_root")
        change = AccountChange("u_ada", Reason.ACCOUNT_DISABLED, EventKind.ACCOUNT_DISABLED, operator, disabled=True)
        assert await store.change_account(change) is not None
        assert await store.count_users() == (2, 1)
        assert [await store.enable("u_ada", operator) for _ in range(2)] == [True, False]
        assert not await store.enable("nobody", operator)
        assert await store.count_users() == (2, 0)
        assert (await refresh(store, token)).reason is Reason.ACCOUNT_DISABLED

    async def test_the_trail_names_the_operator(self, bench: Bench) -> None:
        """Who ended somebody else's session can be told from somebody whose User-Agent only says so."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        operator = Caller("192.0.2.9", "Firefox", "u_root")
        await store.end(token.session_id, Reason.REVOKED, operator)
        assert (await store.timeline(token.session_id))[-1].caller == operator
        change = AccountChange("u_ada", Reason.REVOKED, EventKind.SIGNED_OUT_EVERYWHERE, operator)
        await store.change_account(change)
        (newest,) = await store.newest_events(1)
        assert (newest.kind, newest.caller, newest.detail) == (EventKind.SIGNED_OUT_EVERYWHERE, operator, {})

    async def test_lists_can_be_read_while_sessions_come_and_go(self, bench: Bench) -> None:
        """A session that was there all the time is on one page, whatever begins and ends beside it."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        stays = []
        for _ in range(10):
            clock.advance(1)
            stays.append((await sign_in(store, clock, user)).session_id)

        async def come_and_go() -> None:
            for _ in range(10):
                clock.advance(1)
                token = await sign_in(store, clock, user)
                await store.end(token.session_id, Reason.SIGNED_OUT, PHONE)

        found, _ = await asyncio.gather(pages(store, SessionSearch(limit=2)), come_and_go())
        assert [session_id for session_id in found if session_id in stays] == stays[::-1]


class OperatingByWindows(Operating):
    """
    The same of a store that cuts each page from a window of the list.

    `lists` is the module of the store that says how long a window is.
    """

    lists: ModuleType

    async def test_a_search_goes_through_a_long_list_window_by_window(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is rare is found however far down it stands, and no single page looks at more than its window."""
        monkeypatch.setattr(self.lists, "ROWS_PER_PAGE", 3)
        store, clock = bench.open(), bench.clock
        rare = await signed_in(store, clock, "rare")
        user = await add_user(store, "often")
        for _ in range(10):
            clock.advance(1)
            await sign_in(store, clock, user)
        page = await store.search_sessions(SessionSearch("rare"))
        assert (page.sessions, page.after is None) == ((), False)
        assert await pages(store, SessionSearch("rare")) == [rare.session_id]
        assert await pages(store, SessionSearch("rare", user_id=user.id)) == []
        assert len(await pages(store, SessionSearch("often", limit=2))) == 10
        for number in range(5):
            await add_user(store, f"a-{number}")
        first = await store.search_users("rare", after=None, limit=5)
        assert (first.users, first.after) == ((), "a-2")
        second = await store.search_users("rare", after=first.after, limit=5)
        assert (second.users, second.after) == ((), "often")
        assert [user.username for user in (await store.search_users("rare", after="often", limit=5)).users] == ["rare"]
