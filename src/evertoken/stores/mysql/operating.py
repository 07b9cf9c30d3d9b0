"""
What an operator asks, in MariaDB or MySQL.

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
from evertoken.stores.mysql.connection import Connection, storable
from evertoken.stores.mysql.sessions import COLUMNS, LIVE, record_of
from evertoken.stores.mysql.tables import USER_COLUMNS, user_of
from evertoken.stores.mysql.transaction import NOW
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
($5 = '' OR LOCATE(LOWER($5), LOWER(username)) > 0
 OR LOCATE(LOWER($5), LOWER(created_device)) > 0 OR LOCATE(LOWER($5), LOWER(created_address)) > 0
 OR LOCATE(LOWER($5), LOWER(COALESCE(refreshed_device, ''))) > 0
 OR LOCATE(LOWER($5), LOWER(COALESCE(refreshed_address, ''))) > 0
 OR id BETWEEN $7 AND $8
 OR ($6 <> '' AND LOCATE($6, (SELECT u.username_key FROM [users] u WHERE u.id = user_id)) > 0))
"""
# Not EXISTS: MariaDB would make a list of it, of all users.
# A comparison of two columns with two values finds its way in neither MySQL's nor MariaDB's indexes: (a, b) < (x, y).
_BEFORE = "created_at_ms <= {at} AND (created_at_ms < {at} OR id < {id})"
_NOT_BEFORE = "created_at_ms >= {at} AND (created_at_ms > {at} OR id >= {id})"


async def search_sessions(connection: Connection, told_ms: int | None, search: SessionSearch) -> SessionPage:
    """A page of the list, which comes before the connection's time is up."""

    async def step(its: SessionSearch, rows: int) -> SessionPage:
        return await _window(connection, told_ms, its, rows)

    return await search_by_steps(step, search, rows=ROWS_PER_PAGE)


async def _window(connection: Connection, told_ms: int | None, search: SessionSearch, rows_of_it: int) -> SessionPage:
    """What is found in the next window of the list."""
    before = _NEWEST if search.after is None else (search.after.created_at_ms, search.after.id)
    of_user, user = ("", ()) if search.user_id is None else ("user_id = $3 AND ", (search.user_id,))
    sessions = f"[sessions] FORCE INDEX ({'by_beginning' if search.user_id is None else 'of_user'})"
    last = await connection.fetchrow(
        f"SELECT created_at_ms, id FROM {sessions} WHERE {of_user}{_BEFORE.format(at='$1', id='$2')}"
        f" {_NEWEST_FIRST} LIMIT 1 OFFSET {rows_of_it - 1}",
        *before,
        *user,
    )
    part = storable(search.part)
    lowest, highest = ids_beginning_with(part) or (None, None)
    of_user = "" if search.user_id is None else "user_id = $12 AND "
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM (SELECT {NOW} AS now_ms) AS clock, {sessions}"
        f" WHERE {of_user}{_BEFORE.format(at='$2', id='$3')} AND {_NOT_BEFORE.format(at='$4', id='$9')}"
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
        f"SELECT user_id, MAX(username), COUNT(CASE WHEN {_LIVE_NOW} THEN 1 END),"
        f" COUNT(CASE WHEN NOT ({is_too_old}) AND idle_expires_at_ms <= now_ms THEN 1 END),"
        f" COUNT(CASE WHEN {is_too_old} THEN 1 END), COUNT(CASE WHEN refreshed_at_ms > $2 THEN 1 END)"
        f" FROM (SELECT {NOW} AS now_ms) AS clock, [sessions] FORCE INDEX (of_user)"
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
        f"SELECT user_id, COUNT(*) FROM (SELECT {NOW} AS now_ms) AS clock, [sessions]"
        f" WHERE user_id IN $2 AND {_LIVE_NOW} GROUP BY user_id",
        told_ms,
        list(user_ids),
    )
    return {row[0]: row[1] for row in rows}


async def happened(connection: Connection, *, from_ms: int, until_ms: int) -> Happened:
    """Counted from the indexes alone."""
    events = await connection.fetch(
        "SELECT kind, CAST(SUM(count) AS SIGNED) FROM [events] WHERE last_at_ms >= $1 AND last_at_ms < $2"
        " GROUP BY kind",
        from_ms,
        until_ms,
    )
    ended = await connection.fetch(
        "SELECT revoked_reason, COUNT(*) FROM [sessions] WHERE revoked_at_ms >= $1 AND revoked_at_ms < $2"
        " GROUP BY revoked_reason",
        from_ms,
        until_ms,
    )
    return Happened({row[0]: row[1] for row in events}, {Reason(row[0]): row[1] for row in ended})


async def ended_sessions(connection: Connection) -> dict[Reason, int]:
    """Counted from the index alone."""
    rows = await connection.fetch(
        "SELECT revoked_reason, COUNT(*) FROM [sessions] WHERE revoked_at_ms IS NOT NULL GROUP BY revoked_reason"
    )
    return {Reason(row[0]): row[1] for row in rows}


async def search_users(connection: Connection, part: str, *, after: str | None, limit: int) -> UserPage:
    """A page of users, cut from the next window of the list."""
    beginning = storable(after or "")
    last: str | None = await connection.fetchval(
        "SELECT username_key FROM [users] WHERE username_key > $1"
        f" ORDER BY username_key LIMIT 1 OFFSET {ROWS_PER_PAGE - 1}",
        beginning,
    )
    rows = await connection.fetch(
        f"SELECT {USER_COLUMNS}, username_key FROM [users]"
        " WHERE username_key > $1 AND ($2 IS NULL OR username_key <= $2)"
        " AND ($3 = '' OR LOCATE($3, username_key) > 0) ORDER BY username_key LIMIT $4",
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
    row = await connection.fetchrow(
        "SELECT (SELECT COUNT(*) FROM [users]), (SELECT COUNT(*) FROM [users] WHERE disabled)"
    )
    assert row is not None
    return row[0], row[1]
