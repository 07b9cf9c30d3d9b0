"""Redis with a million sessions, or as many as fit into its memory."""

import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from bench import redis_server
from bench.millions.filling import ACCESS_LIFETIME_MS, POLICY, Plans, Weight
from bench.millions.people import CLIENT, SECRET_ID, Person, everybody
from bench.stores import ACCOUNT
from evertoken.sessions.model import Caller, RotationRequest, RotationResult
from evertoken.sessions.store import KEPT_AFTER_END_MS
from evertoken.stores.redis.keys import REASONS, Keys, encoded, user_bucket
from evertoken.stores.redis.record import NO_PREVIOUS, Stored, over_at_ms, pack
from evertoken.stores.redis.store import RedisStore

_AT_ONCE = 2_000
_A_PREVIOUS = NO_PREVIOUS + 1
_WALKING = {"keys", "scan", "sort"}
"""Commands that go through everything there is."""


class OnRedis:
    """A server of its own below a folder; users are elsewhere."""

    title = "Redis, appendfsync always"

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        program = redis_server.program()
        if program is None:
            raise RuntimeError("Redis is not installed")
        place = folder / "redis"
        place.mkdir()
        self._url = stack.enter_context(redis_server.running(place, program)).url
        self._before = 0

    async def open(self) -> RedisStore:
        store = RedisStore(self._url, policy=POLICY, access_lifetime_ms=ACCESS_LIFETIME_MS)
        await store.start()
        return store

    async def fill(self, count: int, now_ms: int) -> None:
        store = await self.open()
        keys = store.keys
        await store.stop()
        client: Any = Redis.from_url(self._url)
        await client.config_set("appendfsync", "no")
        self._before = (await client.info("memory"))["used_memory"]
        rest = everybody(count, now_ms, idle_ms=POLICY.idle_ms)
        while some := list(itertools.islice(rest, _AT_ONCE)):
            pipeline = client.pipeline(transaction=False)
            for one in some:
                for command in _commands(keys, one, now_ms):
                    pipeline.execute_command(*command)
            await pipeline.execute()
        await client.config_set("appendfsync", "always")
        await client.aclose()

    async def weigh(self) -> dict[str, Weight]:
        client: Any = Redis.from_url(self._url)
        used = (await client.info("memory"))["used_memory"]
        await client.aclose()
        return {"sessions, with the lists that name them": Weight(used - self._before)}

    def rotate(self, store: RedisStore) -> Callable[[Sequence[RotationRequest]], Awaitable[list[RotationResult]]]:
        def with_account(requests: Sequence[RotationRequest]) -> Awaitable[list[RotationResult]]:
            return store.rotate([replace(request, account=ACCOUNT) for request in requests])

        return with_account

    async def plans(self, ask: Callable[[RedisStore], Awaitable[None]]) -> Plans:
        """By the server's own count of the commands that it ran."""
        client: Any = Redis.from_url(self._url)
        await client.config_resetstat()
        store = await self.open()
        try:
            await ask(store)
        finally:
            await store.stop()
        stats = await client.info("commandstats")
        await client.aclose()
        commands = {name.removeprefix("cmdstat_").partition("|")[0] for name in stats}
        return Plans(len(commands), [f"{name}" for name in sorted(commands & _WALKING)])

    async def facts(self) -> list[tuple[str, str]]:
        client: Any = Redis.from_url(self._url)
        slow = await client.slowlog_get(1_000)
        memory = await client.info("memory")
        await client.aclose()
        longest = max((entry["duration"] for entry in slow), default=0)
        return [
            ("memory of the process", f"{memory['used_memory_rss'] / 1e9:.2f} GB"),
            ("its longest command", f"{longest / 1e3:.1f} ms" if longest else "below 10 ms"),
        ]


def _commands(keys: Keys, one: Person, now_ms: int) -> Iterable[tuple[bytes | str | int, ...]]:
    """What a sign-in, its refreshes and its end leave behind; of one that is long over the lists only."""
    stored = _stored(one)
    left_ms = over_at_ms(stored) + KEPT_AFTER_END_MS - now_ms
    bucket = one.id[0]
    yield "ZADD", keys.sessions_of(one.user_id), one.created_at_ms, one.id
    yield "ZADD", keys.users(user_bucket(one.user_id)), 0, encoded(one.user_id)
    yield "ZADD", keys.created(bucket), one.created_at_ms, one.id
    if left_ms > 0:
        yield "SET", keys.session(one.id), pack(stored), "PX", left_ms
    if one.reason is not None and one.revoked_at_ms is not None:
        yield "ZADD", keys.ended(bucket, one.reason), one.revoked_at_ms, one.id


def _stored(one: Person) -> Stored:
    return Stored(
        delivery=1,
        reason=0 if one.reason is None else REASONS.index(one.reason) + 1,
        kind=_A_PREVIOUS if one.previous else NO_PREVIOUS,
        tag=one.tag,
        previous=one.previous,
        generation=one.generation,
        advanced_at_ms=one.refreshed_at_ms,
        revoked_at_ms=one.revoked_at_ms or 0,
        idle_expires_at_ms=one.idle_expires_at_ms,
        max_expires_at_ms=0,
        refreshed_at_ms=one.refreshed_at_ms,
        created_at_ms=one.created_at_ms,
        epoch=0,
        rotations=one.generation,
        unusual=0,
        secret_id=SECRET_ID,
        client_id=CLIENT,
        user_id=one.user_id,
        username=one.username,
        adopted_from="",
        created_from=Caller(one.created_address, one.created_device),
        refreshed_from=Caller(one.refreshed_address, one.created_device),
        recent_ms=one.recent_ms,
    )
