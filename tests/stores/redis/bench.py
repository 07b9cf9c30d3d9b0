"""The way into a Redis, and the SQLite file with the users beside it, around the store."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import redis

from evertoken.secret import Secret
from evertoken.sessions.model import Caller
from evertoken.sessions.rotation import ANY, RotationPolicy, Row
from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.connection import Address
from evertoken.stores.redis.keys import REASONS, Keys
from evertoken.stores.redis.listing import listed_anew
from evertoken.stores.redis.record import A_PREVIOUS, ANY_PREVIOUS, NO_PREVIOUS, Stored, pack, parse
from evertoken.stores.redis.scripts import Command
from evertoken.stores.redis.store import DEFAULT_PREFIX
from evertoken.stores.redis.with_users import RedisWithUsers
from evertoken.stores.sqlite.store import SqliteStore
from tests.stores.compliance.bench import ACCESS_LIFETIME_MS, POLICY, ServerBench
from tests.stores.redis.server import RedisServer
from tests.stores.sqlite_bench import SqliteBench
from tests.support.clock import MovingClock


class RedisBench(ServerBench):
    """An emptied Redis, of one server or the nodes of a Cluster, and an SQLite file for users."""

    def __init__(self, folder: Path, clock: MovingClock, *servers: RedisServer) -> None:
        super().__init__(clock)
        self.url = servers[0].url()
        self._servers = servers
        self.keys = Keys(DEFAULT_PREFIX)
        self._users = SqliteBench(folder / "users.db", clock)
        self._opened: list[RedisWithUsers] = []
        self._own = Calls(Address(Secret(self.url)), clock=None)

    async def empty(self) -> None:
        """Leave nothing in it."""
        for server in self._servers:
            with server.admin() as admin:
                admin.flushall()

    def open(
        self,
        *,
        policy: RotationPolicy = POLICY,
        sessions_per_user: int = 100,
        users_elsewhere: bool = False,
        by_its_own_clock: bool = False,
        remember_seconds: float = 0.0,
        url: str = "",
    ) -> RedisWithUsers:
        store = RedisWithUsers(
            url or self.url,
            users=None if users_elsewhere else self.open_users(),
            remember_seconds=remember_seconds,
            clock=None if by_its_own_clock else self.clock,
            policy=policy,
            access_lifetime_ms=ACCESS_LIFETIME_MS,
            sessions_per_user=sessions_per_user,
        )
        self._opened.append(store)
        return store

    def open_users(self) -> SqliteStore:
        """The store of the users alone."""
        return self._users.open()

    async def stop(self) -> None:
        for store in self._opened:
            await store.stop()
        self._opened.clear()
        self._users.close()
        await self._own.stop()

    async def ask(self, *command: bytes | str | int) -> Any:
        """One command, as an operator would type it."""
        return await self._own.one(command)

    async def put_rows(self, rows: Mapping[bytes, Row]) -> None:
        await self._users.put_rows({})
        commands: list[Command] = []
        for session_id, row in rows.items():
            commands.append(("SET", self.keys.session(session_id), pack(_stored(row))))
            commands += listed_anew(self.keys, session_id, "u", 0)
        await self._own.run(commands)

    async def read_rows(self, session_ids: Iterable[bytes]) -> dict[bytes, Row]:
        wanted = list(session_ids)
        found = await self._own.run([("GET", self.keys.session(session_id)) for session_id in wanted])
        return {session_id: _row(parse(raw)) for session_id, raw in zip(wanted, found, strict=True) if raw is not None}

    async def count_rows(self) -> int:
        """Sessions, each with the line of its sign-in; lines, and whatever else is kept; not what only names them."""
        rows = await self._users.count_rows()
        for server in self._servers:
            with server.admin() as admin:
                rows += self._counted(admin)
        return rows

    def _counted(self, admin: "redis.Redis") -> int:
        rows = 0
        for key in admin.scan_iter(count=1_000):
            if b"}:s:" in key:
                rows += 2
            elif b"}:a:" in key or b"{attempts}" in key:
                rows += 1
            elif b"}:t:" in key:
                rows += admin.llen(key)
            elif key in (self.keys.signing_keys, self.keys.clients):
                rows += admin.hlen(key)
            elif key in (self.keys.lines, self.keys.feed_log):
                rows += admin.zcard(key)
        return rows


def _stored(row: Row) -> Stored:
    before = row.previous
    return Stored(
        delivery=1,
        reason=0 if row.over is None else REASONS.index(row.over) + 1,
        kind=ANY_PREVIOUS if before is ANY else A_PREVIOUS if before else NO_PREVIOUS,
        tag=row.current,
        previous=before if isinstance(before, bytes) else b"",
        generation=row.generation,
        advanced_at_ms=row.advanced_at_ms,
        revoked_at_ms=0 if row.over is None else 1,
        idle_expires_at_ms=row.idle_expires_at_ms,
        max_expires_at_ms=row.max_expires_at_ms or 0,
        refreshed_at_ms=0,
        created_at_ms=0,
        epoch=0,
        rotations=0,
        unusual=0,
        secret_id=b"",
        client_id="web",
        user_id="u",
        username="U",
        adopted_from="",
        created_from=Caller(),
        refreshed_from=Caller(),
        recent_ms=(),
    )


def _row(stored: Stored) -> Row:
    before = ANY if stored.kind == ANY_PREVIOUS else stored.previous if stored.kind == A_PREVIOUS else None
    return Row(
        stored.tag,
        before,
        stored.generation,
        stored.advanced_at_ms,
        stored.idle_expires_at_ms,
        stored.max_expires_at_ms or None,
        REASONS[stored.reason - 1] if stored.reason else None,
    )
