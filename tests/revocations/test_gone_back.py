"""Servers whose store goes back: what they know to have ended is ended again, and nothing else."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from evertoken.edge.background import Background
from evertoken.edge.recalling import Recalling, noting
from evertoken.edge.standstill import Standstill
from evertoken.errors import StoreUnavailable, TokenRevoked
from evertoken.sessions.events import EventHub
from evertoken.sessions.model import Event, EventKind
from evertoken.sessions.recall import RevocationMemory
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.store import Store
from tests.stores.compliance.bench import ACCESS_LIFETIME_MS, DAY, IDLE, LAPTOP, add_user, refresh, sign_in
from tests.stores.mysql.bench import MariadbBench
from tests.stores.mysql.server import running_mariadb
from tests.stores.postgresql.bench import PostgresBench
from tests.stores.postgresql.server import running_postgres
from tests.stores.redis.bench import RedisBench
from tests.stores.redis.server import running_redis
from tests.stores.sqlite_bench import SqliteBench
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, live_server


class Follower:
    """What a server has between its requests, taken step by step: it follows, and looks at what it doubts."""

    def __init__(self, store: Store, clock: MovingClock) -> None:
        self.store = store
        self.hub = EventHub()
        self.told: list[Event] = []
        self.hub.subscribe(self.told.append)
        memory = RevocationMemory(kept_ms=IDLE * 1000)
        self.recalling = Recalling(store, self.hub, clock=clock)
        self.background = Background(
            store,
            cast(Any, None),
            memory,
            self.recalling,
            Standstill(0),
            clock=clock,
            on_revoked=lambda *_: None,
            on_keys_changed=lambda: None,
        )
        self.hub.subscribe(noting(memory, lambda: None))

    async def step(self) -> int:
        """Follow, then look; how many were ended again."""
        await self.background.follow_revocations()
        return await self.recalling.look() if self.recalling.wanted.is_set() else 0

    async def end(self, session_id: bytes) -> None:
        """As a request to this server does."""
        self.hub.publish((await self.store.end(session_id, Reason.SIGNED_OUT, LAPTOP)).events)


GoBack = Callable[[], Awaitable[None]]


@pytest.fixture(params=["sqlite", "postgresql", "redis", pytest.param("mariadb", marks=pytest.mark.soak)])
async def engine(
    request: pytest.FixtureRequest, tmp_path: Path, clock: MovingClock
) -> AsyncIterator[tuple[Callable[[], Store], Callable[[], Awaitable[GoBack]]]]:
    """Opens stores over one database; backs it up, and gives the way to go back to that."""
    if request.param == "sqlite":
        file = SqliteBench(tmp_path / "store.db", clock)

        async def back_up_file() -> GoBack:
            copy = tmp_path / "backup.db"
            _back_up(file.path, copy)

            async def go_back() -> None:
                shutil.move(copy, file.path)

            return go_back

        yield file.open, back_up_file
        file.close()
    elif request.param == "postgresql":
        with running_postgres() as postgres:
            database = PostgresBench(postgres.url(), clock)
            await database.empty()

            async def back_up_postgres() -> GoBack:
                copy = await asyncio.to_thread(postgres.back_up)

                async def go_back() -> None:
                    await asyncio.to_thread(postgres.restore, copy)

                return go_back

            yield database.open, back_up_postgres
            await database.stop()
    elif request.param == "mariadb":
        with running_mariadb() as mariadb:
            tables = MariadbBench(mariadb.url(), clock, admin_url=mariadb.admin_url)
            await tables.empty()

            async def back_up_mariadb() -> GoBack:
                copy = await asyncio.to_thread(mariadb.back_up)

                async def go_back() -> None:
                    await asyncio.to_thread(mariadb.restore, copy)

                return go_back

            yield tables.open, back_up_mariadb
            await tables.stop()
    else:
        with running_redis("appendonly no") as redis:
            server = RedisBench(tmp_path, clock, redis)

            async def back_up_redis() -> GoBack:
                with redis.admin() as admin:
                    admin.save()
                kept = shutil.copy(redis.folder / "dump.rdb", tmp_path / "kept.rdb")

                async def go_back() -> None:
                    await asyncio.to_thread(redis.kill)
                    shutil.copy(kept, redis.folder / "dump.rdb")
                    await asyncio.to_thread(redis.start)

                return go_back

            yield server.open, back_up_redis
            await server.stop()


def _back_up(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


async def _step(follower: Follower) -> int:
    """A step; another where the first found only that the server behind the connection is another."""
    try:
        return await follower.step()
    except StoreUnavailable:
        return await follower.step()


async def test_what_servers_remember_is_ended_again_after_a_restore(
    engine: tuple[Callable[[], Store], Callable[[], Awaitable[GoBack]]], clock: MovingClock
) -> None:
    """Of several servers each knows what all have ended; it is ended again once, told to guards, and put on record."""
    opened, back_up = engine
    first, second = Follower(opened(), clock), Follower(opened(), clock)
    store = first.store
    user = await add_user(store)
    before, lost, kept, unread = [await sign_in(store, clock, user) for _ in range(4)]
    await first.end(before.session_id)
    go_back = await back_up()
    await _step(first)
    await _step(second)
    began = await sign_in(store, clock, user)
    await second.end(lost.session_id)
    await second.end(began.session_id)
    cursor = (await store.revocations_after(0)).cursor
    assert [await first.step(), await second.step()] == [0, 0]
    await first.end(unread.session_id)
    await go_back()
    clock.advance(1)
    ended = sum(await asyncio.gather(_step(first), _step(second)))
    # Who ended what nobody had read finds that out as well, even where there was nothing else to go by.
    ended += sum([await first.step(), await second.step()])
    assert ended == 2
    for token in (before, lost, unread):
        assert (await refresh(store, token)).outcome is Outcome.GONE
    assert (await refresh(store, kept)).outcome is Outcome.REISSUE
    assert (await refresh(store, began)).reason is Reason.UNKNOWN
    kinds = [line.kind for line in await store.timeline(lost.session_id)]
    assert kinds == [EventKind.SIGN_IN, EventKind.SESSION_ENDED]
    news = await store.revocations_after(cursor)
    assert {session_id for session_id, _ in news.session_ids} == {lost.session_id, unread.session_id}
    lines = [line for line in await store.newest_events(20) if line.kind is EventKind.REVOCATIONS_REAPPLIED]
    assert sum(line.detail["ended"] for line in lines) == 2
    assert [await first.step(), await second.step()] == [0, 0]


async def test_a_revocation_that_comes_before_anybody_has_looked_hides_nothing(
    tmp_path: Path, clock: MovingClock
) -> None:
    """The feed may have grown beyond all that was known when a server looks; what is missing shows all the same."""
    bench = SqliteBench(tmp_path / "store.db", clock)
    store = bench.open()
    follower = Follower(store, clock)
    user = await add_user(store)
    lost, other, kept = [await sign_in(store, clock, user) for _ in range(3)]
    _back_up(bench.path, tmp_path / "backup.db")
    await store.end(lost.session_id, Reason.SIGNED_OUT, LAPTOP)
    await follower.step()
    shutil.move(tmp_path / "backup.db", bench.path)
    clock.advance(1)
    await store.end(other.session_id, Reason.SIGNED_OUT, LAPTOP)
    assert await follower.step() == 1
    assert (await refresh(store, lost)).reason is Reason.REVOKED
    assert (await refresh(store, kept)).outcome is Outcome.REISSUE
    bench.close()


async def test_sweeping_is_no_going_back_and_a_quiet_store_that_went_back_is_noticed(
    tmp_path: Path, clock: MovingClock
) -> None:
    """After two access lifetimes the feed is empty: that alone ends nobody, and the counter tells of a restore."""
    bench = SqliteBench(tmp_path / "store.db", clock)
    store = bench.open()
    follower = Follower(store, clock)
    user = await add_user(store)
    lost, kept = [await sign_in(store, clock, user) for _ in range(2)]
    _back_up(bench.path, tmp_path / "backup.db")
    await store.end(lost.session_id, Reason.SIGNED_OUT, LAPTOP)
    await follower.step()
    clock.advance(2 * ACCESS_LIFETIME_MS / 1000 + DAY)
    while await store.sweep() is not None:
        pass
    assert (await store.revocations_after(0)).session_ids == ()
    assert [await follower.step() for _ in range(3)] == [0, 0, 0]
    shutil.move(tmp_path / "backup.db", bench.path)
    assert await follower.step() == 1
    assert (await refresh(store, lost)).reason is Reason.REVOKED
    assert (await refresh(store, kept)).outcome is Outcome.REISSUE
    bench.close()


async def test_a_store_that_fails_meanwhile_is_looked_at_again(
    tmp_path: Path, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be ended again stays to be done."""
    bench = SqliteBench(tmp_path / "store.db", clock)
    store = bench.open()
    follower = Follower(store, clock)
    user = await add_user(store)
    lost = [await sign_in(store, clock, user) for _ in range(3)]
    _back_up(bench.path, tmp_path / "backup.db")
    for token in lost:
        await follower.end(token.session_id)
    await follower.step()
    shutil.move(tmp_path / "backup.db", bench.path)
    await follower.background.follow_revocations()
    real = store.end
    calls = 0

    async def fails_at_the_second(*arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise StoreUnavailable("full")
        return await real(*arguments, **more)

    monkeypatch.setattr(store, "end", fails_at_the_second)
    with pytest.raises(StoreUnavailable):
        await follower.recalling.look()
    assert follower.recalling.wanted.is_set()
    assert await follower.recalling.look() == 3
    assert not follower.recalling.wanted.is_set()
    for token in lost:
        assert (await refresh(store, token)).reason is Reason.REVOKED
    bench.close()


def _refreshed(http: httpx2.Client, tokens: dict[str, Any]) -> httpx2.Response:
    return http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def _tell_when_reapplied(live: LiveServer, done: threading.Event) -> None:
    def hook(event: Event) -> None:
        if event.kind is EventKind.REVOCATIONS_REAPPLIED:
            done.set()

    live.server.services.hub.subscribe(hook)


def test_running_servers_put_a_restored_database_right_by_themselves(tmp_path: Path) -> None:
    """A backup is moved into place under two servers: who had signed out stays signed out, who had not goes on."""
    with live_server(tmp_path) as one, live_server(tmp_path) as other:
        one.add_user("ada")
        with one.client() as http, other.client() as elsewhere:
            gone, stays = one.sign_in(http), one.sign_in(http)
            _back_up(one.database, tmp_path / "backup.db")
            answer = http.post("/auth/logout", headers={"Authorization": f"Bearer {gone['access_token']}"})
            assert answer.status_code == 204
            for server in (one, other):
                server.run(server.server.background.follow())
            reapplied = threading.Event()
            for server in (one, other):
                _tell_when_reapplied(server, reapplied)
            shutil.move(tmp_path / "backup.db", one.database)
            assert reapplied.wait(timeout=20)
            refused = _refreshed(elsewhere, gone)
            assert (refused.status_code, refused.json()["code"]) == (401, "session_over")
            assert _refreshed(elsewhere, stays).status_code == 200
            timeline = one.run(one.server.store.newest_events(10))
            assert len([line for line in timeline if line.kind is EventKind.SESSION_ENDED]) == 1


@pytest.mark.parametrize("way", ["access token", "refresh token", "oauth"])
def test_who_signs_out_of_a_session_that_the_restore_has_lost_is_signed_out(tmp_path: Path, way: str) -> None:
    """The store knows nothing of the session; guards beside every server refuse its access tokens all the same."""
    with live_server(tmp_path) as one, live_server(tmp_path, issuer=one.url) as other:
        one.add_user("ada")
        with one.client() as http:
            _back_up(one.database, tmp_path / "backup.db")
            tokens = one.sign_in(http)
            shutil.move(tmp_path / "backup.db", one.database)
            assert _refreshed(http, tokens).json()["reason"] == "unknown"
            assert [_is_taken(live, tokens) for live in (one, other)] == [True, True]
            if way == "oauth":
                answer = http.post("/oauth/revoke", data={"token": tokens["refresh_token"]})
            elif way == "refresh token":
                answer = http.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
            else:
                answer = http.post("/auth/logout", headers={"Authorization": f"Bearer {tokens['access_token']}"})
            assert answer.is_success
            other.run(other.server.background.follow())
            assert [_is_taken(live, tokens) for live in (one, other)] == [False, False]


def _is_taken(live: LiveServer, tokens: dict[str, Any]) -> bool:
    try:
        live.server.services.guard.check(tokens["access_token"], now_ms=live.server.services.clock())
    except TokenRevoked:
        return False
    return True
