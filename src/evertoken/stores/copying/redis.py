"""A whole store in Redis; users are elsewhere."""

import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from evertoken.accounts.clients import Client
from evertoken.clock import Clock
from evertoken.secret import Secret
from evertoken.sessions.keys import StoredKey
from evertoken.sessions.store import KEPT_AFTER_END_MS
from evertoken.stores.copying import redis_rows as rows_of
from evertoken.stores.copying.place import AnotherCopies, Trait, Version, told
from evertoken.stores.copying.rows import (
    AdoptionRow,
    AttemptRow,
    Batch,
    EventRow,
    LinePlace,
    RevocationRow,
    SessionPart,
    UserRow,
    adopted_from,
)
from evertoken.stores.redis import ending, server_data, start
from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.connection import Address
from evertoken.stores.redis.failures import FAILURES, refused_at_start, unavailable
from evertoken.stores.redis.keys import BUCKETS, REASONS, Keys, encoded
from evertoken.stores.redis.listing import listed_anew
from evertoken.stores.redis.record import parse, read_instant
from evertoken.stores.redis.scripts import Command
from evertoken.tokens.refresh_token import SESSION_ID_BYTES

_AT_ONCE: Final = 250
_NUMBER: Final = struct.Struct(">HI")

_PUT = """
local v = redis.call('GET', KEYS[1])
if v then
  if v:byte(3) ~= 0 then return 0 end
  if tonumber(ARGV[5]) == 0 and struct.unpack('>i6', v, 65) > tonumber(ARGV[4]) then return 0 end
end
for number, line in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do
  local kind, count = struct.unpack('>BI4', line)
  redis.call('ZREM', KEYS[4], ARGV[1] .. struct.pack('>HBI4', number - 1, kind, count))
end
redis.call('DEL', KEYS[3])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[1])
for number = 7, #ARGV do
  local kind, count, _, at = struct.unpack('>BI4i6i6', ARGV[number])
  redis.call('RPUSH', KEYS[3], ARGV[number])
  redis.call('ZADD', KEYS[4], string.format('%.0f', at), ARGV[1] .. struct.pack('>HBI4', number - 7, kind, count))
end
if #KEYS == 5 then
  redis.call('ZADD', KEYS[5], ARGV[5], ARGV[1])
  redis.call('PEXPIRE', KEYS[3], tonumber(ARGV[3]) + 86400000)
end
return 1
"""
"""
Store a session with its lines, by the rule of `rows.takes_its_place`. KEYS: session, created, trail, when, and ended
where it is. ARGV: id; record; milliseconds to keep it; refreshed at; revoked at or 0; created at; lines.
"""

_ANNOUNCE = """
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
for number = 3, #ARGV, 2 do
  if not redis.call('ZSCORE', KEYS[1], ARGV[number + 1]) then
    local seq = tonumber(ARGV[number])
    if seq <= last then seq = math.max(last + 1, tonumber(ARGV[1]) * 1000) end
    last = seq
    redis.call('ZADD', KEYS[1], string.format('%.0f', seq), ARGV[number + 1])
  end
end
last = math.max(last, tonumber(ARGV[2]))
redis.call('SET', KEYS[2], string.format('%.0f', last))
return 1
"""
"""
Entries of the feed, by the rule of `rows.numbered`. KEYS: log, last. ARGV: now; the highest number; number, member...
"""

_LINES = """
for number = 2, #ARGV, 2 do redis.call('ZADD', KEYS[1], ARGV[number], ARGV[number + 1]) end
if tonumber(redis.call('GET', KEYS[2]) or '0') < tonumber(ARGV[1]) then redis.call('SET', KEYS[2], ARGV[1]) end
return 1
"""
"""Lines of no session. KEYS: lines, count. ARGV: how many there are with these; when, line..."""


class RedisPlace:
    """
    Implements `Place`; there are no users in it.

    What is written may be written again: each step is, but for its state, the same however often it is taken.

    Args:
        clock: The time where a test says it; None for Redis's own.
    """

    def __init__(self, location: str, *, key_prefix: str, clock: Clock | None) -> None:
        self._address = Address(Secret(location))
        self._keys = Keys(key_prefix)
        self._calls = Calls(self._address, clock=clock)

    async def open(self) -> "RedisPlace":
        """
        Connect.

        Raises:
            ConfigurationError: it cannot be reached, or refuses.
        """
        with told(FAILURES, lambda error: refused_at_start(error, str(self._address))):
            await (await self._calls.client()).ping()
        return self

    async def version(self) -> Version:
        found = await self._calls.one(("GET", self._keys.version))
        return Version(None if found is None else found[:20].decode("ascii", "replace"), start.LAYOUT.decode())

    async def traits(self, *, deep: bool) -> list[Trait]:
        del deep  # Redis has read all that it holds when it started
        with told(FAILURES, unavailable):
            client = await self._calls.client()
            return [one for node, info in await start.infos(client) for one in await _traits(client, node, info)]

    async def now_ms(self) -> int:
        return await self._calls.now_ms()

    async def counts(self) -> Mapping[str, int]:
        calls, keys = self._calls, self._keys
        sizes = await calls.run([("ZCARD", keys.created(bucket)) for bucket in range(BUCKETS)])
        log, lines, signing, clients = await calls.run(
            [("ZCARD", keys.feed_log), ("ZCARD", keys.lines), ("HLEN", keys.signing_keys), ("HLEN", keys.clients)]
        )
        events = await calls.run([("ZCARD", keys.when(bucket)) for bucket in range(BUCKETS)])
        sessions = sum(sizes)
        return {
            "users": 0,
            "sessions": sessions,
            "revocations": log,
            "events": lines + sum(events) + sessions,  # a sign-in has no line of its own
            "signing_keys": signing,
            "clients": clients,
        }

    async def close(self) -> None:
        await self._calls.stop()

    # Reading

    async def read_users(self, after: str, limit: int) -> list[UserRow]:
        del after, limit
        return []

    async def users_there(self, user_ids: Sequence[str]) -> set[str]:
        del user_ids
        return set()

    async def read_clients(self) -> list[Client]:
        return await server_data.list_clients(self._calls, self._keys)

    async def read_keys(self) -> list[StoredKey]:
        return await server_data.list_keys(self._calls, self._keys)

    async def read_sessions(self, cursor: str, limit: int, *, since_ms: int | None, events: bool = True) -> SessionPart:
        walk = rows_of.Walk.parse(cursor)
        ids, following = await self._listed(walk, min(limit, _AT_ONCE * 4))
        raws = await self._calls.run([("GET", self._keys.session(one)) for one in ids])
        found = [(one, parse(raw)) for one, raw in zip(ids, raws, strict=True) if raw is not None]
        if since_ms is not None:
            found = [one for one in found if rows_of.may_have_changed(one[1], since_ms)]
        sessions = [rows_of.session_row(session_id, stored) for session_id, stored in found]
        lines: list[EventRow] = []
        if events:
            trails = await self._calls.run([("LRANGE", self._keys.trail(one), 0, -1) for one, _ in found])
            for (session_id, stored), texts in zip(found, trails, strict=True):
                lines += rows_of.lines_of(session_id, stored, texts)
        return SessionPart(sessions, lines, len(ids), None if following is None else following.text())

    async def _listed(self, walk: rows_of.Walk, limit: int) -> tuple[list[bytes], rows_of.Walk | None]:
        """
        The next session ids of the walk: bucket by bucket, by the time of their sign-in.

        By time and not by rank: what is added or removed meanwhile would move the ranks.
        """
        offset = 0
        while walk.bucket < BUCKETS:
            key = self._keys.created(walk.bucket)
            answer = await self._calls.one(
                ("ZRANGEBYSCORE", key, walk.at_ms, "+inf", "WITHSCORES", "LIMIT", offset, limit)
            )
            scored = [(int(float(score)), member) for member, score in zip(answer[::2], answer[1::2], strict=True)]
            new = [one for one in scored if one > (walk.at_ms, walk.id)]
            if len(scored) == limit:
                if not new:  # so many sign-ins of one millisecond
                    offset += limit
                    continue
                return [one for _, one in new], rows_of.Walk(walk.bucket, *new[-1])
            following = rows_of.Walk(walk.bucket + 1) if walk.bucket + 1 < BUCKETS else None
            if new or following is None:
                return [one for _, one in new], following
            walk, offset = following, 0
        return [], None

    async def settle(self) -> None:
        """Announce what somebody who died had ended and not announced."""
        await ending.revocations_after(self._calls, self._keys, 2**53)

    async def read_revocations(self, after: int, limit: int) -> list[RevocationRow]:
        answer = await self._calls.one(
            ("ZRANGEBYSCORE", self._keys.feed_log, f"({after}", "+inf", "WITHSCORES", "LIMIT", 0, limit)
        )
        return [
            RevocationRow(int(float(score)), member[:SESSION_ID_BYTES], read_instant(member, SESSION_ID_BYTES))
            for member, score in zip(answer[::2], answer[1::2], strict=True)
        ]

    async def highest_revocation(self) -> int:
        return await ending.newest_revocation(self._calls, self._keys)

    async def read_lines(self, after: LinePlace, before_ms: int, limit: int) -> list[tuple[LinePlace, EventRow]]:
        offset = 0
        while True:
            answer = await self._calls.one(
                ("ZRANGEBYSCORE", self._keys.lines, after.at_ms, f"({before_ms}", "WITHSCORES", "LIMIT", offset, limit)
            )
            found = [
                rows_of.placed_line(member, int(float(score)))
                for member, score in zip(answer[::2], answer[1::2], strict=True)
            ]
            new = [one for one in found if one[0] > after]
            if new or len(found) < limit:
                return new
            offset += limit

    async def read_attempts(self) -> AsyncIterator[list[AttemptRow]]:
        prefix = len(self._keys.attempts(b""))
        async for names in self._named(self._keys.any_attempts):
            raws = await self._calls.run([("GET", name) for name in names])
            yield [
                rows_of.attempt_row(name[prefix:], raw)
                for name, raw in zip(names, raws, strict=True)
                if raw is not None
            ]

    async def read_adoptions(self) -> AsyncIterator[list[AdoptionRow]]:
        prefix = len(self._keys.adoption(b"\0")) - 1
        async for names in self._named(self._keys.any_adoption):
            now_ms = await self.now_ms()
            raws = await self._calls.run([("GET", name) for name in names])
            left = await self._calls.run([("PTTL", name) for name in names])
            yield [
                rows_of.adoption_row(name[prefix:], raw, now_ms + ttl)
                for name, raw, ttl in zip(names, raws, left, strict=True)
                if raw is not None
            ]

    async def _named(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """Keys that no list names: the whole Redis is walked for them, without holding it up."""
        client = await self._calls.client()
        names: list[bytes] = []
        with told(FAILURES, unavailable):
            async for name in client.scan_iter(match=pattern, count=1_000):
                names.append(name)
                if len(names) == _AT_ONCE:
                    yield names
                    names = []
        if names:
            yield names

    # Writing

    async def read_state(self) -> str | None:
        found = await self._calls.one(("GET", self._keys.copying))
        return None if found is None else found.decode()

    async def write(self, batch: Batch, *, state: str | None, state_before: str | None) -> None:
        calls, keys = self._calls, self._keys
        if state is not None:
            if state_before is None:
                # Said before the first rows are there, or an interrupted copy would find its own rows and refuse them.
                if await calls.one(("SET", keys.copying, state, "NX")) is None:
                    raise AnotherCopies
            elif await self.read_state() != state_before:
                raise AnotherCopies
        now_ms = await self.now_ms()
        await self._put_settings(batch)
        await self._put_sessions(batch, now_ms)
        if batch.revocations or batch.highest_revocation:
            entries = [part for row in batch.revocations for part in (row.seq, rows_of.announced(row))]
            where = (keys.feed_log, keys.feed_last)
            await calls.one(("EVAL", _ANNOUNCE, len(where), *where, now_ms, batch.highest_revocation, *entries))
        if batch.lines:
            numbers = range(batch.lines_written + 1, batch.lines_written + 1 + len(batch.lines))
            parts = [
                part
                for number, line in zip(numbers, batch.lines, strict=True)
                for part in (
                    line.last_at_ms,
                    _NUMBER.pack(number >> 32, number & 0xFFFF_FFFF) + rows_of.line_text(line),
                )
            ]
            await calls.one(("EVAL", _LINES, 2, keys.lines, keys.lines_count, numbers[-1], *parts))
        await calls.run(
            [
                ("SET", keys.attempts(row.key), rows_of.attempt_text(row), "PX", max(left, 1))
                for row in batch.attempts
                for left in [rows_of.attempt_at_ms(row) + KEPT_AFTER_END_MS - now_ms]
            ]
        )
        await calls.run(
            [
                ("SET", keys.adoption(row.fingerprint), rows_of.adoption_text(row), "PX", row.forget_at_ms - now_ms)
                for row in batch.adoptions
                if row.forget_at_ms > now_ms
            ]
        )
        if state is not None:
            await calls.one(("SET", keys.copying, state))

    async def _put_settings(self, batch: Batch) -> None:
        calls, keys = self._calls, self._keys
        if batch.only_these_clients:
            for client in await server_data.list_clients(calls, keys):
                if client not in batch.clients:
                    await server_data.remove_client(calls, keys, client.id)
        for client in batch.clients:
            await server_data.add_client(calls, keys, client)
        if batch.only_these_keys:
            wanted = {key.kid for key in batch.keys}
            gone = [encoded(key.kid) for key in await server_data.list_keys(calls, keys) if key.kid not in wanted]
            if gone:
                await calls.one(("HDEL", keys.signing_keys, *gone))
        await server_data.save_keys(calls, keys, batch.keys)

    async def _put_sessions(self, batch: Batch, now_ms: int) -> None:
        keys = self._keys
        libraries = adopted_from(batch.events)
        lines: dict[bytes | None, list[bytes]] = {}
        for line in batch.events:
            if not rows_of.is_sign_in(line):
                lines.setdefault(line.session_id, []).append(rows_of.line_text(line))
        commands: list[Command] = []
        for row in batch.sessions:
            kept_ms = row.over_at_ms() + KEPT_AFTER_END_MS - now_ms
            if kept_ms <= 0:
                continue  # Redis lets go of such by itself
            commands += listed_anew(keys, row.id, row.user_id, row.created_at_ms)
            where = [keys.session(row.id), keys.created(row.id[0]), keys.trail(row.id), keys.when(row.id[0])]
            if row.revoked_at_ms is not None:
                where.append(keys.ended(row.id[0], REASONS[rows_of.reason_number(row) - 1]))
            record = rows_of.record_of(row, libraries.get(row.id, ""))
            times = (kept_ms, row.refreshed_at_ms, row.revoked_at_ms or 0, row.created_at_ms)
            commands.append(("EVAL", _PUT, len(where), *where, row.id, record, *times, *lines.get(row.id, ())))
        for start_at in range(0, len(commands), 3 * _AT_ONCE):
            await self._calls.run(commands[start_at : start_at + 3 * _AT_ONCE])


async def _traits(client: Any, node: Any, info: Mapping[str, Any]) -> list[Trait]:
    where = "" if node is None else f"{node}: "
    found = []
    policy = str(info.get("maxmemory_policy", "noeviction"))
    wrong = "a full Redis throws sessions away; set it to noeviction" if policy != "noeviction" else ""
    found.append(
        Trait("durability", f"{where}maxmemory-policy is {policy}", wrong, bool(wrong and info.get("maxmemory")))
    )
    if info.get("role") not in ("master", None):
        found.append(Trait("durability", f"{where}a read-only replica", "name its primary, or Sentinel", is_fault=True))
    if not info.get("aof_enabled"):
        what = "a crash loses sign-ins and sign-outs since the last snapshot; set it to yes"
        found.append(Trait("durability", f"{where}appendonly is off", what))
        return found
    flushed = await start.setting(client, node, "appendfsync")
    wrong = "" if flushed in ("always", None) else "a crash of the machine loses the last of them; set it to always"
    told_as = "not to be read (CONFIG GET is not allowed)" if flushed is None else flushed
    found.append(Trait("durability", f"{where}appendonly is on, appendfsync is {told_as}", wrong))
    return found
