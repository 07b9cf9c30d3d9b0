"""Searches through long lists, in steps so small that nobody waits for one."""

import pytest

from evertoken.sessions.model import Caller, SessionRecord
from evertoken.sessions.operating import SessionCursor, SessionPage, SessionSearch
from evertoken.stores import walking
from evertoken.stores.walking import ROWS_PER_STEP, SECONDS_PER_PAGE, search_by_steps
from evertoken.tokens.refresh_token import Delivery

_HERE = Caller("192.0.2.7", "Firefox")


def _session(created_at_ms: int) -> SessionRecord:
    whose = bytes(16), "u_ada", "ada", "web", Delivery.BODY
    return SessionRecord(*whose, created_at_ms, _HERE, created_at_ms, _HERE, created_at_ms + 1_000, None, 0, ())


class LongList:
    """A list of sessions that goes on for so many rows, of which one in `every` is found."""

    def __init__(self, length: int, *, every: int) -> None:
        self._length = length
        self._every = every
        self.windows: list[int] = []

    async def step(self, search: SessionSearch, rows: int) -> SessionPage:
        """The next window: places in the list are instants."""
        begin = 0 if search.after is None else search.after.created_at_ms
        end = min(begin + rows, self._length)
        self.windows.append(end - begin)
        places = [place for place in range(begin + 1, end + 1) if place % self._every == 0][: search.limit]
        found = tuple(_session(place) for place in places)
        if len(found) == search.limit:
            return SessionPage(found, SessionCursor(places[-1], b""))
        return SessionPage(found, None if end == self._length else SessionCursor(end, b""))


async def test_a_search_that_finds_nothing_looks_at_so_many_rows_in_small_steps() -> None:
    """A page is empty in the end, with a cursor behind the rows that were looked at."""
    long_list = LongList(10**9, every=10**9)
    rows = 10 * ROWS_PER_STEP + 7
    page = await search_by_steps(long_list.step, SessionSearch("nobody"), rows=rows)
    assert page == SessionPage((), SessionCursor(rows, b""))
    assert long_list.windows == [*[ROWS_PER_STEP] * 10, 7]


async def test_a_page_that_is_full_looks_no_further() -> None:
    """The newest page of a list takes a single step, however long the list is."""
    long_list = LongList(10**9, every=1)
    page = await search_by_steps(long_list.step, SessionSearch(limit=100), rows=10_000)
    assert [one.created_at_ms for one in page.sessions] == list(range(1, 101))
    assert page.after == SessionCursor(100, b"")
    assert len(long_list.windows) == 1


async def test_pages_put_together_from_steps_hold_every_session_once() -> None:
    """Wherever a page ends, in a step or between two, the next one goes on behind it, to the end of the list."""
    for limit in (1, 3, 7, 1_000):
        long_list = LongList(1_234, every=60)
        found: list[int] = []
        search = SessionSearch(limit=limit)
        while True:
            page = await search_by_steps(long_list.step, search, rows=500)
            assert len(page.sessions) <= limit
            found += (one.created_at_ms for one in page.sessions)
            if page.after is None:
                break
            search = SessionSearch(limit=limit, after=page.after)
        assert found == list(range(60, 1_235, 60))


async def test_on_a_slow_disk_a_page_ends_in_time_with_a_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each step takes long a page is cut short, before its caller gives up, and the next one goes on there."""
    now = 1_000.0
    monkeypatch.setattr(walking, "monotonic_seconds", lambda: now)
    long_list = LongList(10**9, every=ROWS_PER_STEP)

    async def slow_step(search: SessionSearch, rows: int) -> SessionPage:
        nonlocal now
        now += SECONDS_PER_PAGE / 2.5
        return await long_list.step(search, rows)

    page = await search_by_steps(slow_step, SessionSearch(), rows=10_000)
    assert page.after == SessionCursor(3 * ROWS_PER_STEP, b"")
    assert len(page.sessions) == 3
