"""
What an operator asks, in PostgreSQL.

No statement here looks at more than a bounded number of rows: pages are cut from a window of the list, whatever the
search is for.
"""

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
from evertoken.stores.postgresql.connection import Connection, storable
from evertoken.stores.postgresql.sessions import COLUMNS, LIVE, record_of
from evertoken.stores.postgresql.tables import USER_COLUMNS, user_of
from evertoken.stores.postgresql.transaction import NOW
from evertoken.stores.walking import search_by_steps

ROWS_PER_PAGE = 10_000
"""How many rows are looked at for one page, however few of them match."""

_NEWEST = (2**63 - 1, b"\xff" * 17)
"""A place before every session."""

_OLDEST = (-(2**63), b"")
"""A place behind every session."""

_LIVE_NOW = LIVE.format(now="now_ms")
_NEWEST_FIRST = "ORDER BY created_at_ms DESC, id DESC"
# $5 the part as typed  $6 as the key of a user name  $7, $8 the lowest and the highest id that begins like it
_MATCHES = """
($5 = '' OR strpos(lower(username), lower($5)) > 0
 OR strpos(lower(created_device), lower($5)) > 0 OR strpos(lower(created_address), lower($5)) > 0
 OR strpos(lower(coalesce(refreshed_device, '')), lower($5)) > 0
 OR strpos(lower(coalesce(refreshed_address, '')), lower($5)) > 0
 OR id BETWEEN $7::bytea AND $8::bytea
 OR ($6 <> '' AND EXISTS (SELECT FROM users WHERE users.id = user_id AND strpos(username_key, $6) > 0)))
"""


async def search_sessions(connection: Connection, told_ms: int | None, search: SessionSearch) -> SessionPage:
    """A page of the list, which comes before the connection's time is up."""

    async def step(its: SessionSearch, rows: int) -> SessionPage:
        return await _window(connection, told_ms, its, rows)

    return await search_by_steps(step, search, rows=ROWS_PER_PAGE)


async def _window(connection: Connection, told_ms: int | None, search: SessionSearch, rows_of_it: int) -> SessionPage:
    """What is found in the next window of the list."""
    before = _NEWEST if search.after is None else (search.after.created_at_ms, search.after.id)
    of_user, user = ("", ()) if search.user_id is None else ("user_id = $3 AND ", (search.user_id,))
    last = await connection.fetchrow(
        f"SELECT created_at_ms, id FROM sessions WHERE {of_user}(created_at_ms, id) < ($1, $2)"
        f" {_NEWEST_FIRST} LIMIT 1 OFFSET {rows_of_it - 1}",
        *before,
        *user,
    )
    part = storable(search.part)
    lowest, highest = ids_beginning_with(part) or (None, None)
    of_user = "" if search.user_id is None else "user_id = $12 AND "
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM (SELECT {NOW} AS now_ms) AS clock, sessions"
        f" WHERE {of_user}(created_at_ms, id) < ($2, $3::bytea) AND (created_at_ms, id) >= ($4, $9::bytea)"
        f" AND {_MATCHES} AND (NOT $10 OR ({_LIVE_NOW})) {_NEWEST_FIRST} LIMIT $11",
        told_ms,
        *before,
        (last or _OLDEST)[0],
        part,
        username_key(part),
        lowest,
        highest,
        (last or _OLDEST)[1],
        search.live_only,
        search.limit,
        *user,
    )
    found = tuple(map(record_of, rows))
    if len(found) == search.limit:
        return SessionPage(found, SessionCursor(found[-1].created_at_ms, found[-1].id))
    return SessionPage(found, None if last is None else SessionCursor(last[0], last[1]))


async def tally_users(
    connection: Connection, told_ms: int | None, *, fresh_after_ms: int, after: str | None, limit: int
) -> list[UserTally]:
    """A page of users. Who is over the cap has sessions ended, so each has few that nobody has ended."""
    is_too_old = "max_expires_at_ms IS NOT NULL AND max_expires_at_ms <= now_ms"
    rows = await connection.fetch(
        f"SELECT user_id, max(username), count(*) FILTER (WHERE {_LIVE_NOW}),"
        f" count(*) FILTER (WHERE NOT ({is_too_old}) AND idle_expires_at_ms <= now_ms),"
        f" count(*) FILTER (WHERE {is_too_old}), count(*) FILTER (WHERE refreshed_at_ms > $2)"
        f" FROM (SELECT {NOW} AS now_ms) AS clock, sessions"
        " WHERE revoked_at_ms IS NULL AND user_id > $3 GROUP BY user_id ORDER BY user_id LIMIT $4",
        told_ms,
        fresh_after_ms,
        after or "",
        limit,
    )
    return [UserTally(*row) for row in rows]


async def live_sessions_of(connection: Connection, told_ms: int | None, user_ids: Sequence[str]) -> dict[str, int]:
    """Counted by user."""
    rows = await connection.fetch(
        f"SELECT user_id, count(*) FROM (SELECT {NOW} AS now_ms) AS clock, sessions"
        f" WHERE user_id = ANY($2::text[]) AND {_LIVE_NOW} GROUP BY user_id",
        told_ms,
        list(user_ids),
    )
    return {row[0]: row[1] for row in rows}


async def happened(connection: Connection, *, from_ms: int, until_ms: int) -> Happened:
    """Counted from the indexes alone."""
    events = await connection.fetch(
        "SELECT kind, sum(count) FROM events WHERE last_at_ms >= $1 AND last_at_ms < $2 GROUP BY kind",
        from_ms,
        until_ms,
    )
    ended = await connection.fetch(
        "SELECT revoked_reason, count(*) FROM sessions WHERE revoked_at_ms >= $1 AND revoked_at_ms < $2"
        " GROUP BY revoked_reason",
        from_ms,
        until_ms,
    )
    return Happened({row[0]: row[1] for row in events}, {Reason(row[0]): row[1] for row in ended})


async def ended_sessions(connection: Connection) -> dict[Reason, int]:
    """Counted from the index alone."""
    rows = await connection.fetch(
        "SELECT revoked_reason, count(*) FROM sessions WHERE revoked_at_ms IS NOT NULL GROUP BY revoked_reason"
    )
    return {Reason(row[0]): row[1] for row in rows}


async def search_users(connection: Connection, part: str, *, after: str | None, limit: int) -> UserPage:
    """A page of users, cut from the next window of the list."""
    beginning = storable(after or "")
    last: str | None = await connection.fetchval(
        "SELECT username_key FROM users WHERE username_key > $1"
        f" ORDER BY username_key LIMIT 1 OFFSET {ROWS_PER_PAGE - 1}",
        beginning,
    )
    # Without a last one, what is left is no more than a window. In an OR the index would not know where to stop.
    until = "$2::text IS NULL" if last is None else "username_key <= $2"
    rows = await connection.fetch(
        f"SELECT {USER_COLUMNS}, username_key FROM users WHERE username_key > $1 AND {until}"
        " AND ($3 = '' OR strpos(username_key, $3) > 0) ORDER BY username_key LIMIT $4",
        beginning,
        last,
        username_key(part),
        limit,
    )
    users = tuple(map(user_of, rows))
    if len(users) == limit:
        return UserPage(users, rows[-1][-1])
    return UserPage(users, last)


async def count_users(connection: Connection) -> tuple[int, int]:
    """Counted from the indexes alone."""
    row = await connection.fetchrow("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM users WHERE disabled)")
    assert row is not None
    return row[0], row[1]
