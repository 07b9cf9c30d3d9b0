"""
A page of a long list, put together from small steps.

A search that finds little looks at a great many rows, each on a page of its own of a large file. So it looks at some,
lets whoever else waits for the store have their turn, and goes on, until it has enough, or has looked for long enough.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from evertoken.clock import monotonic_seconds
from evertoken.sessions.operating import SessionPage, SessionSearch

ROWS_PER_STEP: Final = 200
"""How many rows are looked at before others have their turn: some hundredths of a second, where they are in memory."""

SECONDS_PER_PAGE: Final = 2.0
"""After how long a page ends where it is, with a cursor to go on from; a caller waits for at most 8 seconds."""

Step = Callable[[SessionSearch, int], Awaitable[SessionPage]]
"""A page cut from the next window of the list: which sessions, and how many rows the window has."""


async def search_by_steps(step: Step, search: SessionSearch, *, rows: int) -> SessionPage:
    """
    A page that may be short of sessions, even empty, though there are more: its cursor says where to go on.

    Args:
        rows: How many are looked at for it at most, at least 1.
    """
    until = monotonic_seconds() + SECONDS_PER_PAGE
    page = SessionPage((), search.after)
    while rows > 0:
        next_one = replace(search, after=page.after, limit=search.limit - len(page.sessions))
        some = await step(next_one, min(rows, ROWS_PER_STEP))
        page = SessionPage(page.sessions + some.sessions, some.after)
        rows -= ROWS_PER_STEP
        if page.after is None or len(page.sessions) >= search.limit or monotonic_seconds() >= until:
            break
    return page
