"""
Which sessions there are: of a user, and of everybody by their beginning.

A session is entered under its user before it is stored, and taken out after it is gone; so a list may name a session
that is not there, which whoever reads it removes, but misses none that is. A Redis that lost commits may have lost the
entry as well: the next refresh of that session heals its record (HEAL) and enters it anew.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from evertoken.accounts.usernames import username_key
from evertoken.sessions.model import SessionRecord
from evertoken.sessions.operating import SessionCursor, SessionPage, SessionSearch, UserTally, ids_beginning_with
from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.keys import BUCKETS, Keys, encoded, user_bucket
from evertoken.stores.redis.merging import ByName, NewestFirst, merged, parts
from evertoken.stores.redis.record import Stored, packed_instant, parse
from evertoken.stores.redis.scripts import LIST, UNLIST, Command

ROWS_PER_PAGE = 10_000
"""How many sessions are looked at for one page, however few of them match."""

_AT_ONCE: Final = 100
"""How many are read at once, a few milliseconds of our loop: others come in between."""

Found = tuple[bytes, Stored]


def listed_anew(keys: Keys, session_id: bytes, user_id: str, created_at_ms: int) -> list[Command]:
    """The commands that enter a session that is stored."""
    where = [keys.sessions_of(user_id), keys.users(user_bucket(user_id))]
    return [
        LIST.on(where, packed_instant(created_at_ms), session_id, encoded(user_id)),
        ("ZADD", keys.created(session_id[0]), "NX", created_at_ms, session_id),
    ]


def unlisted(keys: Keys, user_id: str, session_ids: Iterable[bytes]) -> Command:
    """The command that takes sessions away from their user's."""
    where = [keys.sessions_of(user_id), keys.users(user_bucket(user_id))]
    return UNLIST.on(where, encoded(user_id), *session_ids)


async def read(calls: Calls, keys: Keys, session_ids: Sequence[bytes]) -> list[Found]:
    """Those of them that are there."""
    answers = await calls.run([("GET", keys.session(session_id)) for session_id in session_ids])
    return [(session_id, parse(raw)) for session_id, raw in zip(session_ids, answers, strict=True) if raw is not None]


async def of_users(calls: Calls, keys: Keys, user_ids: Sequence[str]) -> dict[str, list[Found]]:
    """The sessions of each of these users, live and over; what is not there any more is taken out of the list."""
    listed = await calls.run([("ZRANGE", keys.sessions_of(user_id), 0, -1) for user_id in user_ids])
    wanted = [session_id for session_ids in listed for session_id in session_ids]
    found = dict(await read(calls, keys, wanted))
    missing: list[Command] = []
    result: dict[str, list[Found]] = {}
    for user_id, session_ids in zip(user_ids, listed, strict=True):
        result[user_id] = [(one, found[one]) for one in session_ids if one in found]
        gone = [one for one in session_ids if one not in found]
        if gone:
            missing += await _still_gone(calls, keys, user_id, gone)
    await calls.run(missing)
    return result


async def _still_gone(calls: Calls, keys: Keys, user_id: str, session_ids: Sequence[bytes]) -> list[Command]:
    """Not those that are being stored just now: they are listed first. An entry of the last minute is left alone."""
    now_ms = await calls.now_ms()
    ages = await calls.run([("ZSCORE", keys.sessions_of(user_id), one) for one in session_ids])
    gone = [
        one
        for one, entered in zip(session_ids, ages, strict=True)
        if entered is not None and float(entered) < now_ms - 60_000
    ]
    return [unlisted(keys, user_id, gone)] if gone else []


async def list_sessions(
    calls: Calls, keys: Keys, *, user_id: str | None, live_only: bool, after: bytes | None, limit: int
) -> list[SessionRecord]:
    """A page of sessions in the order of their ids."""
    now_ms = await calls.now_ms()
    if user_id is not None:
        found = sorted((await of_users(calls, keys, [user_id]))[user_id], key=lambda one: one[0])
        return [
            stored.record(session_id)
            for session_id, stored in found
            if (after is None or session_id > after) and (not live_only or stored.is_live(now_ms))
        ][:limit]
    page: list[SessionRecord] = []
    for bucket in range(after[0] if after else 0, BUCKETS):
        ids = sorted(await calls.one(("ZRANGE", keys.created(bucket), 0, -1)))
        ids = [one for one in ids if after is None or one > after]
        for start in range(0, len(ids), _AT_ONCE):
            some = await read(calls, keys, ids[start : start + _AT_ONCE])
            page += [one.record(session_id) for session_id, one in some if not live_only or one.is_live(now_ms)]
            if len(page) >= limit:
                return page[:limit]
    return page


async def search_sessions(calls: Calls, keys: Keys, search: SessionSearch) -> SessionPage:
    """A page of the list, cut from its next window."""
    now_ms = await calls.now_ms()
    matches = _Matches(search)
    page: list[SessionRecord] = []
    looked_at = 0
    last: SessionCursor | None = None
    async for some in _newest_first(calls, keys, search):
        for session_id, stored in some:
            looked_at += 1
            last = SessionCursor(stored.created_at_ms, session_id)
            if matches(session_id, stored) and (not search.live_only or stored.is_live(now_ms)):
                page.append(stored.record(session_id))
            if len(page) == search.limit or looked_at >= ROWS_PER_PAGE:
                return SessionPage(tuple(page), last)
    return SessionPage(tuple(page), None)


class _Matches:
    def __init__(self, search: SessionSearch) -> None:
        self._part = search.part.lower()
        self._key = username_key(search.part)
        self._ids = ids_beginning_with(search.part)

    def __call__(self, session_id: bytes, stored: Stored) -> bool:
        if not self._part:
            return True
        if self._ids is not None and self._ids[0] <= session_id <= self._ids[1]:
            return True
        texts = (
            stored.username,
            stored.refreshed_from.device,
            stored.refreshed_from.address,
            stored.created_from.device,
            stored.created_from.address,
        )
        return any(self._part in text.lower() for text in texts) or (
            bool(self._key) and self._key in username_key(stored.username)
        )


async def _newest_first(calls: Calls, keys: Keys, search: SessionSearch) -> AsyncIterator[list[Found]]:
    """The list in pieces, from behind `search.after` on."""
    place = None if search.after is None else (search.after.created_at_ms, search.after.id)
    if search.user_id is not None:
        found = (await of_users(calls, keys, [search.user_id]))[search.user_id]
        found.sort(key=lambda one: (one[1].created_at_ms, one[0]), reverse=True)
        yield [one for one in found if place is None or (one[1].created_at_ms, one[0]) < place]
        return
    lists = [NewestFirst(keys.created(bucket), place) for bucket in range(BUCKETS)]
    async for piece in merged(calls, lists, downwards=True):
        for some in parts(piece, _AT_ONCE):
            yield await read(calls, keys, [session_id for _, session_id in some])


async def tally_users(
    calls: Calls, keys: Keys, *, fresh_after_ms: int, after: str | None, limit: int
) -> list[UserTally]:
    """A page of users. Who is over the cap has sessions ended, so each has few that nobody has ended."""
    now_ms = await calls.now_ms()
    tallies: list[UserTally] = []
    lists = [ByName(keys.users(bucket), encoded(after or "")) for bucket in range(BUCKETS)]
    async for piece in merged(calls, lists, downwards=False):
        for some in parts(piece, _AT_ONCE):
            found = await of_users(calls, keys, [user_id.decode() for user_id in some])
            for user_id, sessions in found.items():
                tally = _tally(user_id, [stored for _, stored in sessions if not stored.reason], now_ms, fresh_after_ms)
                if tally is not None:
                    tallies.append(tally)
            if len(tallies) >= limit:
                return tallies[:limit]
    return tallies


def _tally(user_id: str, sessions: Sequence[Stored], now_ms: int, fresh_after_ms: int) -> UserTally | None:
    if not sessions:
        return None
    too_old = [one for one in sessions if 0 < one.max_expires_at_ms <= now_ms]
    idle = [one for one in sessions if one not in too_old and one.idle_expires_at_ms <= now_ms]
    return UserTally(
        user_id,
        max(one.username for one in sessions),
        live=len(sessions) - len(too_old) - len(idle),
        expired_idle=len(idle),
        expired_max_age=len(too_old),
        fresh=sum(one.refreshed_at_ms > fresh_after_ms for one in sessions),
    )


async def live_sessions_of(calls: Calls, keys: Keys, user_ids: Sequence[str]) -> dict[str, int]:
    """Counted by user."""
    now_ms = await calls.now_ms()
    found = await of_users(calls, keys, list(dict.fromkeys(user_ids)))
    counts = {user_id: sum(one.is_live(now_ms) for _, one in sessions) for user_id, sessions in found.items()}
    return {user_id: count for user_id, count in counts.items() if count}


async def sessions_per_secret(calls: Calls, keys: Keys) -> dict[bytes, int]:
    """Walks over all sessions, a pipeline at a time: for `doctor`."""
    now_ms = await calls.now_ms()
    counted: dict[bytes, int] = {}
    for bucket in range(BUCKETS):
        ids = await calls.one(("ZRANGE", keys.created(bucket), 0, -1))
        for start in range(0, len(ids), _AT_ONCE):
            for _, stored in await read(calls, keys, ids[start : start + _AT_ONCE]):
                if stored.is_live(now_ms):
                    counted[stored.secret_id] = counted.get(stored.secret_id, 0) + 1
    return counted
