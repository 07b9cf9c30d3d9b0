"""
What an operator asks, in SQLite.

The thread that reads serves refreshes and guards too, so no statement here looks at more than a bounded number of
rows: pages are cut from a window of the list, whatever the search is for, and where each row lies on a page of its own,
others have their turn after every few of them.
"""

import json
import sqlite3
from collections.abc import Sequence

from evertoken.accounts.usernames import username_key
from evertoken.accounts.users import UserPage
from evertoken.sessions.operating import (
    Happened,
    SessionCursor,
    SessionPage,
    SessionSearch,
    UserTally,
    ids_beginning_with,
)
from evertoken.sessions.rotation import Reason
from evertoken.stores.sqlite.sessions import COLUMNS, LIVE, record_of
from evertoken.stores.sqlite.tables import USER_COLUMNS, user_of
from evertoken.stores.sqlite.worker import Worker
from evertoken.stores.walking import search_by_steps

ROWS_PER_PAGE = 10_000
"""How many rows are looked at for one page, however few of them match."""

_NEWEST = (2**63 - 1, b"\xff" * 17)
"""A place before every session."""

_OLDEST = (-(2**63), b"")
"""A place behind every session."""

# ?1 now  ?2, ?3 the place before the window  ?4 user  ?5, ?6 the last row of the window, or a place behind it
_OF_ALL = "FROM sessions INDEXED BY sessions_by_beginning WHERE ?4 IS NULL AND (created_at_ms, id) < (?2, ?3)"
_OF_A_USER = "FROM sessions INDEXED BY sessions_of_user WHERE user_id = ?4 AND (created_at_ms, id) < (?2, ?3)"
_NEWEST_FIRST = "ORDER BY created_at_ms DESC, id DESC"
# ?7 the part as typed  ?8 as the key of a user name  ?9, ?10 the lowest and the highest id that begins like it
_MATCHES = """
(?7 = '' OR instr(lower(username), lower(?7)) OR instr(lower(refreshed_device), lower(?7))
 OR instr(lower(refreshed_address), lower(?7)) OR instr(lower(created_device), lower(?7))
 OR instr(lower(created_address), lower(?7)) OR (?9 IS NOT NULL AND id BETWEEN ?9 AND ?10)
 OR (?8 <> '' AND instr((SELECT username_key FROM users WHERE users.id = user_id), ?8)))
"""


async def search_sessions(reader: Worker, search: SessionSearch) -> SessionPage:
    """A page of the list; whatever else waits for the reader goes in between."""

    async def step(its: SessionSearch, rows: int) -> SessionPage:
        return await reader.run(lambda connection, now_ms: search_window(connection, now_ms, its, rows))

    return await search_by_steps(step, search, rows=ROWS_PER_PAGE)


def search_window(connection: sqlite3.Connection, now_ms: int, search: SessionSearch, rows_of_it: int) -> SessionPage:
    """What is found in the next window of the list."""
    window = _OF_ALL if search.user_id is None else _OF_A_USER
    before = _NEWEST if search.after is None else (search.after.created_at_ms, search.after.id)
    place = (now_ms, *before, search.user_id)
    last = connection.execute(
        f"SELECT created_at_ms, id {window} {_NEWEST_FIRST} LIMIT 1 OFFSET ?5",
        (*place, rows_of_it - 1),
    ).fetchone()
    lowest, highest = ids_beginning_with(search.part) or (None, None)
    rows = connection.execute(
        f"SELECT {COLUMNS} {window} AND (created_at_ms, id) >= (?5, ?6) AND {_MATCHES} AND (NOT ?11 OR ({LIVE}))"
        f" {_NEWEST_FIRST} LIMIT ?12",
        (
            *place,
            *(last or _OLDEST),
            *(search.part, username_key(search.part), lowest, highest, search.live_only, search.limit),
        ),
    )
    found = tuple(map(record_of, rows))
    if len(found) == search.limit:
        return SessionPage(found, SessionCursor(found[-1].created_at_ms, found[-1].id))
    return SessionPage(found, last and SessionCursor(*last))


def tally_users(
    connection: sqlite3.Connection, now_ms: int, *, fresh_after_ms: int, after: str | None, limit: int
) -> list[UserTally]:
    """A page of users. Who is over the cap has sessions ended, so each has few that nobody has ended."""
    is_too_old = "max_expires_at_ms IS NOT NULL AND max_expires_at_ms <= ?1"
    rows = connection.execute(
        f"SELECT user_id, max(username), sum({LIVE}), sum(NOT ({is_too_old}) AND idle_expires_at_ms <= ?1),"
        f" sum({is_too_old}), sum(refreshed_at_ms > ?2) FROM sessions INDEXED BY sessions_not_ended"
        " WHERE revoked_at_ms IS NULL AND user_id > ?3 GROUP BY user_id ORDER BY user_id LIMIT ?4",
        (now_ms, fresh_after_ms, after or "", limit),
    )
    return [UserTally(*row) for row in rows]


def live_sessions_of(connection: sqlite3.Connection, now_ms: int, user_ids: Sequence[str]) -> dict[str, int]:
    """Counted by user."""
    rows = connection.execute(
        "SELECT user_id, count(*) FROM sessions INDEXED BY sessions_not_ended"
        f" WHERE user_id IN (SELECT value FROM json_each(?2)) AND {LIVE} GROUP BY user_id",
        (now_ms, json.dumps(list(user_ids))),
    )
    return dict(rows.fetchall())


def happened(connection: sqlite3.Connection, *, from_ms: int, until_ms: int) -> Happened:
    """Counted from the indexes alone."""
    between = (from_ms, until_ms)
    events = connection.execute(
        "SELECT kind, sum(count) FROM events INDEXED BY events_by_time"
        " WHERE last_at_ms >= ? AND last_at_ms < ? GROUP BY kind",
        between,
    )
    ended = connection.execute(
        "SELECT revoked_reason, count(*) FROM sessions INDEXED BY sessions_ended"
        " WHERE revoked_at_ms >= ? AND revoked_at_ms < ? GROUP BY revoked_reason",
        between,
    )
    return Happened(dict(events.fetchall()), {Reason(reason): count for reason, count in ended})


def ended_sessions(connection: sqlite3.Connection) -> dict[Reason, int]:
    """Counted from the index alone."""
    rows = connection.execute(
        "SELECT revoked_reason, count(*) FROM sessions INDEXED BY sessions_ended"
        " WHERE revoked_at_ms IS NOT NULL GROUP BY revoked_reason"
    )
    return {Reason(reason): count for reason, count in rows}


def search_users(connection: sqlite3.Connection, part: str, *, after: str | None, limit: int) -> UserPage:
    """A page of users, cut from the next window of the list."""
    last = connection.execute(
        "SELECT username_key FROM users WHERE username_key > ?"
        f" ORDER BY username_key LIMIT 1 OFFSET {ROWS_PER_PAGE - 1}",
        (after or "",),
    ).fetchone()
    # Without a last one, what is left is no more than a window. In an OR the index would not know where to stop.
    until = "" if last is None else " AND username_key <= ?2"
    # The inner one is answered by the index alone: only those who are found are looked up.
    rows = connection.execute(
        f"SELECT {USER_COLUMNS}, username_key FROM users WHERE username_key IN"
        f" (SELECT username_key FROM users WHERE username_key > ?1{until}"
        " AND (?3 = '' OR instr(username_key, ?3)) ORDER BY username_key LIMIT ?4) ORDER BY username_key",
        (after or "", last and last[0], username_key(part), limit),
    ).fetchall()
    users = tuple(map(user_of, rows))
    if len(users) == limit:
        return UserPage(users, rows[-1][-1])
    return UserPage(users, last and last[0])


def count_users(connection: sqlite3.Connection) -> tuple[int, int]:
    """Counted from the indexes alone."""
    total = connection.execute("SELECT count(*) FROM users").fetchone()[0]
    disabled = connection.execute("SELECT count(*) FROM users INDEXED BY users_disabled WHERE disabled = 1").fetchone()
    return total, disabled[0]
