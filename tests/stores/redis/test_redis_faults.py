"""What a Redis, or the way to it, can do to a running store: 503 for a while, and nobody is signed out."""

import asyncio
import contextlib
import secrets

import pytest
import redis

from evertoken.errors import StoreUnavailable
from evertoken.sessions.model import RotationRequest
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.redis import calling
from tests.stores.compliance.bench import (
    LAPTOP,
    add_user,
    refresh,
    sign_in,
    signed_in,
)
from tests.stores.compliance.server_faults import SOON_SECONDS, STRICT, ServerFaults, is_well
from tests.stores.faults import is_out
from tests.stores.redis.bench import RedisBench
from tests.stores.redis.server import DURABLE, RedisServer
from tests.support.clock import MovingClock
from tests.token_stores.redis_server import PASSWORD_ITSELF


class TestServerFaults(ServerFaults):
    """Those of every server."""

    calls = calling


async def test_a_redis_that_reads_its_data_is_waited_for(bench: RedisBench, server: RedisServer) -> None:
    """After a restart Redis answers LOADING until it has read everything: 503 until then."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    await bench.ask("DEBUG", "POPULATE", 300, secrets.token_hex(50))
    await bench.ask("BGREWRITEAOF")
    async with asyncio.timeout(SOON_SECONDS):
        while b"aof_rewrite_in_progress:1" in await _info(bench) or b"aof_rewrite_scheduled:1" in await _info(bench):
            await asyncio.sleep(0.01)
    await asyncio.to_thread(server.kill)
    # Without work for Redis's event loop between keys nobody would be answered at all.
    slowly = ("key-load-delay 10000", "loading-process-events-interval-bytes 1024")
    await asyncio.to_thread(server.start, *slowly, wait=False)
    with server.admin() as admin:
        async with asyncio.timeout(SOON_SECONDS):
            while True:
                try:
                    admin.ping()
                    pytest.fail("it has read its data before anybody could ask")
                except redis.BusyLoadingError:
                    break
                except redis.RedisError:
                    await asyncio.sleep(0.01)
        await is_out(store, token, "reading its data")
        admin.config_set("key-load-delay", 0)
    await asyncio.to_thread(server.wait)
    await is_well(store, token)


async def _info(bench: RedisBench) -> bytes:
    found = await bench.ask("INFO", "persistence")
    if isinstance(found, dict):
        return " ".join(f"{name}:{value}" for name, value in found.items()).encode()
    return bytes(found)


async def test_a_primary_that_became_a_replica_refuses_for_now(bench: RedisBench, server: RedisServer) -> None:
    """After a failover the old primary is read-only: 503 until the address leads to one that takes writes."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    with server.admin() as admin:
        admin.replicaof("127.0.0.1", "1")
        try:
            await is_out(store, token, "read-only replica")
        finally:
            admin.replicaof("NO", "ONE")
    await is_well(store, token)


async def test_a_redis_that_is_full_refuses_and_throws_nobody_out(bench: RedisBench, server: RedisServer) -> None:
    """With maxmemory reached and noeviction, writes are 503 and every session is there."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    with server.admin() as admin:
        admin.config_set("maxmemory", 1)
        try:
            await is_out(store, token, "full: raise its maxmemory")
            assert await store.find(token.session_id) is not None
        finally:
            admin.config_set("maxmemory", 0)
    await is_well(store, token)


async def test_a_redis_that_cannot_write_its_snapshot_refuses_for_now(bench: RedisBench, server: RedisServer) -> None:
    """MISCONF: Redis stops taking writes where its disk fails; 503 until it is mended."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    in_the_way = server.folder / "dump.rdb"
    in_the_way.mkdir()
    with server.admin() as admin:
        admin.config_set("save", "3600 1000000")
        try:
            with contextlib.suppress(redis.ResponseError):
                admin.save()
            admin.bgsave()
            async with asyncio.timeout(SOON_SECONDS):
                while admin.info("persistence")["rdb_last_bgsave_status"] != "err":
                    await asyncio.sleep(0.01)
            await is_out(store, token, "cannot write to its disk")
        finally:
            in_the_way.rmdir()
            admin.config_set("save", "")
            admin.save()
    await is_well(store, token)


async def test_a_redis_that_does_not_answer_is_503_within_the_deadline(
    bench: RedisBench, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that is busy with something else keeps nobody waiting, and what it decides late does no harm."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    with server.admin() as admin:
        admin.client_pause(60_000, all=False)
        monkeypatch.setattr(calling, "ANSWER_WITHIN_SECONDS", 0.3)
        try:
            with pytest.raises(StoreUnavailable, match="did not answer in time"):
                await refresh(store, token)
            with pytest.raises(StoreUnavailable, match="did not answer in time"):
                await store.ping()
        finally:
            monkeypatch.undo()
            admin.client_unpause()
    await is_well(store, token)


async def test_a_password_that_was_changed_is_503_and_not_a_sign_out(bench: RedisBench, server: RedisServer) -> None:
    """Until somebody corrects the address nobody is refreshed, and nobody is signed out; no message holds it."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    with server.admin() as admin:
        admin.config_set("requirepass", "another-one")
        admin.client_kill_filter(_type="normal", skipme=True)
        try:
            with contextlib.suppress(StoreUnavailable):
                await refresh(store, token)  # the connections that were cut
            with pytest.raises(StoreUnavailable, match="refuses this user or password") as told:
                await refresh(store, token)
            assert PASSWORD_ITSELF not in str(told.value) + repr(told.value.__cause__) + repr(store)
        finally:
            admin.config_set("requirepass", PASSWORD_ITSELF)
    await is_well(store, token)


async def test_scripts_that_redis_has_forgotten_are_sent_again(bench: RedisBench) -> None:
    """SCRIPT FLUSH, a restart or a failover takes the scripts away; nobody notices."""
    store = bench.open()
    user = await add_user(store)
    tokens = [await sign_in(store, bench.clock, user) for _ in range(30)]
    await bench.ask("SCRIPT", "FLUSH")
    results = await store.rotate([RotationRequest(token, LAPTOP) for token in tokens])
    assert [result.outcome for result in results] == [Outcome.REISSUE] * 30
    await bench.ask("SCRIPT", "FLUSH")
    assert (await store.end(tokens[0].session_id, Reason.SIGNED_OUT, LAPTOP)).session_ids


async def test_a_sign_out_whose_caller_is_gone_is_finished(bench: RedisBench, server: RedisServer) -> None:
    """A caller that is cancelled does not leave a sign-out half done."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    with server.admin() as admin:
        admin.client_pause(60_000, all=False)
        leaving = asyncio.create_task(store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP))
        await asyncio.sleep(0.02)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        admin.client_unpause()
    await store.stop()
    other = bench.open()
    assert (await refresh(other, token)).reason is Reason.SIGNED_OUT
    assert len((await other.revocations_after(0)).session_ids) == 1


async def test_it_is_redis_that_says_what_time_it_is(bench: RedisBench) -> None:
    """Machines whose clocks differ agree on every date, for none of them is asked."""
    store = bench.open(by_its_own_clock=True, policy=STRICT)
    seconds, microseconds = await bench.ask("TIME")
    before_ms = int(seconds) * 1000 + int(microseconds) // 1000
    token = await signed_in(store, MovingClock(before_ms))
    result = await refresh(store, token)
    assert before_ms <= result.now_ms < before_ms + SOON_SECONDS * 1000
    found = await store.find(token.session_id)
    assert found is not None
    assert before_ms <= found.created_at_ms <= found.refreshed_at_ms == result.now_ms
    ended = await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)
    assert before_ms <= ended.at_ms < before_ms + SOON_SECONDS * 1000


def test_the_tests_run_durably(server: RedisServer) -> None:
    """What these tests say of acknowledged commits, they say of a Redis that writes before it answers."""
    with server.admin() as admin:
        assert admin.config_get("append*")["appendfsync"] == "always"
        assert DURABLE[0] == "appendonly yes"
