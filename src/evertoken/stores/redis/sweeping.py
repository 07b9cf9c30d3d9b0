"""
Removing what is kept no longer, in steps so small that no refresh waits for one.

Redis lets sessions, counters and adopted tokens go by itself. What is left for us is what names them: the walk goes
through the lists of sessions, bucket by bucket, and through those of users, round and round. Both are by time: no
session is over before it has begun, so of each list only what is older than we keep anything is looked at.
"""

import secrets
from collections.abc import Sequence
from typing import Final

from evertoken.sessions.store import KEPT_AFTER_END_MS
from evertoken.stores.redis import ending, server_data
from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.keys import BUCKETS, Keys
from evertoken.stores.redis.listing import unlisted
from evertoken.stores.redis.merging import parts
from evertoken.stores.redis.record import over_at_ms, parse
from evertoken.stores.redis.scripts import LET_GO, OLD, OVER, Command
from evertoken.stores.redis.sessions import remove

ROWS_PER_STEP = 500
SCAN_PER_STEP = 1_000
USERS_PER_STEP = 500
_LEASE_MS: Final = 10_000

# What is asked and read at once, a few milliseconds of our loop and less of Redis's: others come in between.
_AT_ONCE: Final = 250
_LISTS_AT_ONCE: Final = 32
_REMOVED_AT_ONCE: Final = 50

_ALL: Final = range(BUCKETS)

_Window = tuple[int, int, int]
"""A bucket, and the first and last place in its list."""


class Sweeper:
    """Holds nothing but where it is. One machine sweeps at a time."""

    def __init__(self, calls: Calls, keys: Keys, *, access_lifetime_ms: int) -> None:
        self._calls = calls
        self._keys = keys
        self._access_lifetime_ms = access_lifetime_ms
        self._name = secrets.token_bytes(16)
        # What the walk has not seen yet: buckets, and how many at the beginning of their lists.
        self._sessions_ahead: list[tuple[int, int]] = []
        self._users_ahead: list[tuple[int, int]] = []

    async def step(self) -> int | None:
        """One step; returns how much went, None at the end of the walk, or where another machine sweeps."""
        calls, keys = self._calls, self._keys
        if await calls.one(("SET", keys.sweeping, self._name, "NX", "PX", _LEASE_MS)) is None:
            return None
        try:
            now_ms = await calls.now_ms()
            before_ms = now_ms - KEPT_AFTER_END_MS
            # A remote guard may be a minute behind; twice the lifetime is longer than any token of theirs lives.
            forgotten_ms = now_ms - 2 * self._access_lifetime_ms - 60_000
            await ending.revocations_after(calls, keys, 2**53)  # finishes what was left half done
            if not self._sessions_ahead and not self._users_ahead:
                await self._begin(before_ms)
            gone = (
                await self._sessions(before_ms)
                + await self._scored(keys.lines, before_ms)
                + await self._scored(keys.feed_log, forgotten_ms * 1000)
                + await server_data.remove_keys(calls, keys, before_ms=before_ms)
            )
            await self._users(before_ms)
            return gone if gone or self._sessions_ahead or self._users_ahead else None
        finally:
            await calls.one(LET_GO.on([keys.sweeping], self._name))

    async def _begin(self, before_ms: int) -> None:
        """The walk goes over what is there now."""
        created, users = self._keys.created, self._keys.users
        self._sessions_ahead = await self._sizes([("ZCOUNT", created(n), "-inf", f"({before_ms}") for n in _ALL])
        self._users_ahead = await self._sizes([("ZCARD", users(n)) for n in _ALL])

    async def _sizes(self, commands: Sequence[Command]) -> list[tuple[int, int]]:
        sizes = [size for some in parts(commands, _LISTS_AT_ONCE) for size in await self._calls.run(some)]
        return [(bucket, size) for bucket, size in enumerate(sizes) if size]

    async def _sessions(self, before_ms: int) -> int:
        """The next sessions of the walk: those past their time, and those that Redis has let go of."""
        looked_at = gone = 0
        while self._sessions_ahead and looked_at < SCAN_PER_STEP and gone + _AT_ONCE <= ROWS_PER_STEP:
            ahead = self._sessions_ahead.copy()
            windows = _taken(ahead)
            gone += await self._look_at_sessions(windows, before_ms)
            looked_at += _length(windows)
            self._sessions_ahead = ahead
        return gone

    async def _look_at_sessions(self, windows: Sequence[_Window], before_ms: int) -> int:
        calls, keys = self._calls, self._keys
        listed = await calls.run([("ZRANGE", keys.created(bucket), first, last) for bucket, first, last in windows])
        asked = [session_ids for session_ids in listed if session_ids]
        answers = await calls.run([OVER.on([keys.session(one) for one in some], before_ms) for some in asked])
        over = [some[place - 1] for some, places in zip(asked, answers, strict=True) for place in places]
        return sum([await self._remove(some, before_ms) for some in parts(over, _REMOVED_AT_ONCE)])

    async def _remove(self, session_ids: Sequence[bytes], before_ms: int) -> int:
        """Those of them that are over still; how many. A healed one may live again."""
        calls, keys = self._calls, self._keys
        raws = await calls.run([("GET", keys.session(session_id)) for session_id in session_ids])
        found = [(one, raw, parse(raw) if raw else None) for one, raw in zip(session_ids, raws, strict=True)]
        over = [each for each in found if each[2] is None or over_at_ms(each[2]) < before_ms]
        removed = await calls.run([remove(keys, session_id, raw or b"") for session_id, raw, _ in over])
        by_user: dict[str, list[bytes]] = {}
        for (session_id, _, stored), is_gone in zip(over, removed, strict=True):
            if is_gone and stored is not None:
                by_user.setdefault(stored.user_id, []).append(session_id)
        await calls.run([unlisted(keys, user_id, ids) for user_id, ids in by_user.items()])
        return sum(map(bool, removed))

    async def _users(self, before_ms: int) -> None:
        """The next users of the walk: what their lists name and is not there any more is taken out."""
        looked_at = 0
        while self._users_ahead and looked_at < USERS_PER_STEP:
            ahead = self._users_ahead.copy()
            windows = _taken(ahead)
            await self._look_at_users(windows, before_ms)
            looked_at += _length(windows)
            self._users_ahead = ahead

    async def _look_at_users(self, windows: Sequence[_Window], before_ms: int) -> None:
        calls, keys = self._calls, self._keys
        listed = await calls.run([("ZRANGE", keys.users(bucket), first, last) for bucket, first, last in windows])
        asked = [[user_id.decode() for user_id in user_ids] for user_ids in listed if user_ids]
        answers = await calls.run([OLD.on(list(map(keys.sessions_of, some)), before_ms) for some in asked])
        old = [
            (user_id, session_id)
            for some, answer in zip(asked, answers, strict=True)
            for user_id, session_ids in zip(some, answer, strict=True)
            for session_id in session_ids
        ]
        for some in parts(old, _AT_ONCE):
            there = await calls.run([("EXISTS", keys.session(session_id)) for _, session_id in some])
            gone: dict[str, list[bytes]] = {}
            for (user_id, session_id), is_there in zip(some, there, strict=True):
                if not is_there:
                    gone.setdefault(user_id, []).append(session_id)
            for those in parts([*gone.items()], _REMOVED_AT_ONCE):
                await calls.run([unlisted(keys, user_id, session_ids) for user_id, session_ids in those])

    async def _scored(self, key: bytes, before: int) -> int:
        old = await self._calls.one(("ZRANGEBYSCORE", key, "-inf", f"({before}", "LIMIT", 0, ROWS_PER_STEP))
        return int(await self._calls.one(("ZREM", key, *old))) if old else 0


def _taken(ahead: list[tuple[int, int]]) -> list[_Window]:
    """The next windows, each from the end of its list: what goes moves nothing that is still ahead."""
    windows: list[_Window] = []
    most = _AT_ONCE
    while ahead and most and len(windows) < _LISTS_AT_ONCE:
        bucket, left = ahead.pop()
        first = max(left - most, 0)
        windows.append((bucket, first, left - 1))
        most -= left - first
        if first:
            ahead.append((bucket, first))
    return windows


def _length(windows: Sequence[_Window]) -> int:
    return sum(last + 1 - first for _, first, last in windows)
