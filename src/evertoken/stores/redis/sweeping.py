"""
Removing what is kept no longer, in steps so small that no refresh waits for one.

Redis lets sessions, counters and adopted tokens go by itself. What is left for us is what names them: the walk goes
through the lists of sessions, bucket by bucket, and through those of users, round and round.
"""

import secrets

from evertoken.sessions.store import KEPT_AFTER_END_MS
from evertoken.stores.redis import ending, server_data
from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.keys import BUCKETS, Keys
from evertoken.stores.redis.listing import of_users, unlisted
from evertoken.stores.redis.record import over_at_ms, parse
from evertoken.stores.redis.scripts import LET_GO
from evertoken.stores.redis.sessions import remove

ROWS_PER_STEP = 500
_SCAN_PER_STEP = 2_000
_USERS_PER_STEP = 200
_LEASE_MS = 10_000


class Sweeper:
    """Holds nothing but where it is. One machine sweeps at a time."""

    def __init__(self, calls: Calls, keys: Keys, *, access_lifetime_ms: int) -> None:
        self._calls = calls
        self._keys = keys
        self._access_lifetime_ms = access_lifetime_ms
        self._name = secrets.token_bytes(16)
        self._bucket = 0
        self._offset = 0
        self._user_bucket = 0
        self._user = b""

    async def step(self) -> int:
        """One step; returns how much went."""
        calls, keys = self._calls, self._keys
        if await calls.one(("SET", keys.sweeping, self._name, "NX", "PX", _LEASE_MS)) is None:
            return 0
        try:
            now_ms = await calls.now_ms()
            # A remote guard may be a minute behind; twice the lifetime is longer than any token of theirs lives.
            forgotten_ms = now_ms - 2 * self._access_lifetime_ms - 60_000
            await ending.revocations_after(calls, keys, 2**53)  # finishes what was left half done
            gone = (
                await self._sessions(now_ms)
                + await self._scored(keys.lines, now_ms - KEPT_AFTER_END_MS)
                + await self._scored(keys.feed_log, forgotten_ms * 1000)
                + await server_data.remove_keys(calls, keys, before_ms=now_ms - KEPT_AFTER_END_MS)
            )
            await self._users()
            return gone
        finally:
            await calls.one(LET_GO.on([keys.sweeping], self._name))

    async def _sessions(self, now_ms: int) -> int:
        """The next sessions of the walk: those past their time, and those that Redis has let go of."""
        calls, keys = self._calls, self._keys
        sizes = await calls.run([("ZCARD", keys.created(bucket)) for bucket in range(BUCKETS)])
        looked_at = 0
        windows: list[tuple[int, int, int]] = []
        bucket, offset = self._bucket, self._offset
        for _ in range(BUCKETS + 1):
            length = min(max(sizes[bucket] - offset, 0), _SCAN_PER_STEP - looked_at)
            if length:
                windows.append((bucket, offset, length))
                looked_at += length
            if looked_at == _SCAN_PER_STEP:
                offset += length
                break
            bucket, offset = (bucket + 1) % BUCKETS, 0
        listed = await calls.run(
            [("ZRANGE", keys.created(at), start, start + length - 1) for at, start, length in windows]
        )
        seen = [session_id for ids in listed for session_id in ids]
        raws = await calls.run([("GET", keys.session(session_id)) for session_id in seen])
        over = [
            (session_id, raw or b"")
            for session_id, raw in zip(seen, raws, strict=True)
            if raw is None or over_at_ms(parse(raw)) < now_ms - KEPT_AFTER_END_MS
        ]
        is_step_full = len(over) > ROWS_PER_STEP
        removed = await calls.run([remove(keys, session_id, raw) for session_id, raw in over[:ROWS_PER_STEP]])
        gone = [one for one, is_gone in zip(over, removed, strict=False) if is_gone]
        if is_step_full:
            bucket, offset = windows[0][:2]  # once more from here: what is left moves up
        else:
            offset = max(offset - sum(one[0][0] == bucket for one in gone), 0)
        self._bucket, self._offset = bucket, offset
        by_user: dict[str, list[bytes]] = {}
        for session_id, raw in gone:
            if raw:
                by_user.setdefault(parse(raw).user_id, []).append(session_id)
        await calls.run([unlisted(keys, user_id, ids) for user_id, ids in by_user.items()])
        return len(gone)

    async def _users(self) -> None:
        """The next users of the walk; looking at their sessions takes out what is not there any more."""
        calls, keys = self._calls, self._keys
        beginning = b"(" + self._user if self._user else b"-"
        found = await calls.one(
            ("ZRANGEBYLEX", keys.users(self._user_bucket), beginning, "+", "LIMIT", 0, _USERS_PER_STEP)
        )
        await of_users(calls, keys, [user_id.decode() for user_id in found])
        if len(found) == _USERS_PER_STEP:
            self._user = found[-1]
        else:
            self._user, self._user_bucket = b"", (self._user_bucket + 1) % BUCKETS

    async def _scored(self, key: bytes, before: int) -> int:
        old = await self._calls.one(("ZRANGEBYSCORE", key, "-inf", f"({before}", "LIMIT", 0, ROWS_PER_STEP))
        return int(await self._calls.one(("ZREM", key, *old))) if old else 0
