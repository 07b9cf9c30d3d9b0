"""What a MariaDB server, or the way to it, can do to a running store: 503 for a while, and nobody is signed out."""

import asyncio
import os
import random
import secrets
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from threading import Thread

import pytest
import uvloop

from evertoken.errors import ConfigurationError, StoreUnavailable
from evertoken.sessions.group_commit import GroupCommit
from evertoken.sessions.model import Event, EventKind, RotationRequest, RotationResult
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.mysql import connection, pool, transaction
from evertoken.stores.mysql.connection import Connection, connect
from evertoken.stores.mysql.failures import FAILURES
from evertoken.stores.mysql.statements import Sql
from tests.stores.compliance.bench import LAPTOP, POLICY, add_user, refresh, sign_in, signed_in, succeed
from tests.stores.compliance.server_faults import SOON_SECONDS, ServerFaults, is_well, nobody_is_signed_out
from tests.stores.faults import is_out, small_disk
from tests.stores.mysql.bench import MariadbBench
from tests.stores.mysql.server import MariadbServer


class TestServerFaults(ServerFaults):
    """Those of every server."""

    calls = pool


@pytest.fixture
async def admin(server: MariadbServer) -> AsyncIterator[Connection]:
    """A connection that may do anything."""
    made = await connect(server.admin_url, prefix="")
    yield made
    made.terminate()


async def test_a_database_that_is_restarted_under_load_signs_nobody_out(
    bench: MariadbBench, server: MariadbServer
) -> None:
    """While the database is away everybody is told 503; once it is back all go on, and no answer was false."""
    await nobody_is_signed_out(bench, end=server.stop, start=server.start)


async def test_a_read_only_database_refuses_for_now_and_is_found_again(bench: MariadbBench, admin: Connection) -> None:
    """A primary that became a replica: 503 until it takes writes again."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    await admin.run("SET GLOBAL read_only = 1")
    try:
        await is_out(store, token, "read-only")
        with pytest.raises(ConfigurationError, match="read-only; name the primary"):
            await bench.open().start()
    finally:
        await admin.run("SET GLOBAL read_only = 0")
    await is_well(store, token)


async def _again_and_again(step: Callable[[], Awaitable[object]]) -> None:
    for _ in range(5_000):
        await step()


async def test_a_full_disk_refuses_what_needs_room_and_ends_no_session(
    bench: MariadbBench, server: MariadbServer, admin: Connection
) -> None:
    """While there is no room for another line of the audit trail: 503 for sign-ins, and refreshes go on."""
    store = bench.open(sessions_per_user=10_000)  # the cap would end the first of so many
    user = await add_user(store)
    token = await sign_in(store, bench.clock, user)
    event = Event(EventKind.STALE, bench.clock(), detail={"text": secrets.token_hex(3_000)})
    with small_disk(server.folder / "small") as disk:
        owner = (server.folder / "data").stat()
        os.chown(disk, owner.st_uid, owner.st_gid)
        shown = await admin.fetchrow("SHOW CREATE TABLE [events]")
        assert shown is not None
        await admin.run("RENAME TABLE [events] TO [big_events]")
        await admin.run(Sql(f"{shown[1]} DATA DIRECTORY='{disk}'"))
        try:
            with pytest.raises(StoreUnavailable, match="is full"):
                await _again_and_again(lambda: store.record(event))
            with pytest.raises(StoreUnavailable):  # there may be room for a few short lines still
                await _again_and_again(lambda: sign_in(store, bench.clock, user))
            assert (await refresh(store, token)).outcome is Outcome.REISSUE
        finally:
            await admin.run("DROP TABLE [events]; RENAME TABLE [big_events] TO [events]")
        await sign_in(store, bench.clock, user)


@pytest.mark.parametrize("presented", ["newest", "replayed"])
async def test_a_row_that_somebody_holds_is_503_for_its_own_session_and_no_other(
    bench: MariadbBench, monkeypatch: pytest.MonkeyPatch, presented: str
) -> None:
    """A transaction that is left open on a session keeps nobody else waiting, though they came in one batch with it."""
    monkeypatch.setattr(pool, "LOCK_WITHIN_SECONDS", 1)
    store = bench.open()
    user = await add_user(store)
    held, *free = [await sign_in(store, bench.clock, user) for _ in range(5)]
    newest = await succeed(store, bench.clock, held)
    bench.clock.advance(POLICY.overlap_ms / 1000 + 1)
    token = newest if presented == "newest" else held
    queue = GroupCommit(store.rotate)
    async with bench.connection() as other:
        await other.run("BEGIN; SELECT id FROM [sessions] WHERE id = $1 FOR UPDATE", held.session_id)
        batch = [asyncio.create_task(queue.submit(RotationRequest(one, LAPTOP))) for one in (token, *free)]
        async with asyncio.timeout(SOON_SECONDS):
            refused, *others = await asyncio.gather(*batch, return_exceptions=True)
        assert isinstance(refused, StoreUnavailable)
        assert [one.outcome for one in others if isinstance(one, RotationResult)] == [Outcome.REISSUE] * 4
        with pytest.raises(StoreUnavailable, match="Lock wait timeout"):
            await store.end(held.session_id, Reason.SIGNED_OUT, LAPTOP)
        await other.run("ROLLBACK")
    assert (await bench.read_rows([held.session_id]))[held.session_id].over is None
    await is_well(store, newest)


async def test_a_user_that_somebody_holds_is_503_for_that_users_sessions_and_no_others(bench: MariadbBench) -> None:
    """Whoever leaves a transaction open on one account keeps nobody else waiting."""
    store = bench.open()
    held = await signed_in(store, bench.clock, "held")
    free = [await signed_in(store, bench.clock, f"user-{number}") for number in range(4)]
    queue = GroupCommit(store.rotate)
    async with bench.connection() as other:
        await other.run("BEGIN; UPDATE [users] SET roles = '[]' WHERE id = 'u_held'")
        batch = [asyncio.create_task(queue.submit(RotationRequest(one, LAPTOP))) for one in (held, *free)]
        async with asyncio.timeout(SOON_SECONDS):
            refused, *others = await asyncio.gather(*batch, return_exceptions=True)
        assert isinstance(refused, StoreUnavailable)
        assert [one.outcome for one in others if isinstance(one, RotationResult)] == [Outcome.REISSUE] * 4
        await other.run("ROLLBACK")
    await is_well(store, held)


async def test_a_deadlock_is_tried_again_and_nobody_is_told(
    bench: MariadbBench, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the database undoes a batch for the sake of another transaction, it is run once more."""
    caplog.set_level("INFO", logger=pool.__name__)
    store = bench.open()
    user = await add_user(store)
    tokens = sorted([await sign_in(store, bench.clock, user) for _ in range(2)], key=lambda token: token.session_id)
    async with bench.connection() as other:
        # It has changed many rows, so that it is the store's transaction that is undone.
        await other.run("BEGIN; UPDATE [locks] SET slot = slot + 10000")
        hold = "SELECT id FROM [sessions] WHERE id = $1 FOR UPDATE"
        await other.fetch(hold, tokens[1].session_id)
        batch = asyncio.create_task(store.rotate([RotationRequest(token, LAPTOP) for token in tokens]))
        await bench.until_somebody_waits()
        await other.fetch(hold, tokens[0].session_id)
        await other.run("ROLLBACK")
    async with asyncio.timeout(SOON_SECONDS):
        assert [result.outcome for result in await batch] == [Outcome.REISSUE] * 2
    assert "it is run anew: Undone" in caplog.text


async def test_a_machine_that_freezes_in_a_transaction_loses_its_rows(
    bench: MariadbBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server undoes what a silent machine began, so that a sign-out elsewhere gets through."""
    monkeypatch.setattr(transaction, "BEGIN", transaction.BEGIN.replace(str(transaction.FROZEN_AFTER_SECONDS), "1"))
    frozen, alive = bench.open(), bench.open()
    token = await signed_in(frozen, bench.clock)
    holds, thawed = asyncio.Event(), asyncio.Event()

    async def freeze(begun: transaction.Transaction) -> None:
        await begun.connection.fetch("SELECT id FROM [sessions] WHERE id = $1 FOR UPDATE", token.session_id)
        holds.set()
        await thawed.wait()
        await begun.connection.fetch("SELECT 1")

    freezing = asyncio.create_task(frozen._pool.write(freeze))
    async with asyncio.timeout(SOON_SECONDS):
        await holds.wait()
        assert (await alive.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)).session_ids == (token.session_id,)
        thawed.set()
        with pytest.raises(StoreUnavailable):
            await freezing


async def test_a_statement_that_takes_too_long_is_given_up_by_the_server(
    bench: MariadbBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the caller is: nothing is committed behind its back."""
    monkeypatch.setattr(connection.statement_limit, "__kwdefaults__", {"seconds": 1})
    store = bench.open()
    with pytest.raises(StoreUnavailable, match="max_statement_time"):
        await store._pool.read(lambda one: one.fetch("SELECT SLEEP(20) FROM [locks] LIMIT 1"))


async def test_a_sign_out_whose_caller_is_gone_is_finished(bench: MariadbBench) -> None:
    """A caller that is cancelled does not leave a sign-out half done."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    async with bench.connection() as other:
        await other.run("BEGIN; SELECT id FROM [sessions] WHERE id = $1 FOR UPDATE", token.session_id)
        ending = asyncio.create_task(store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP))
        await bench.until_somebody_waits()
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        await other.run("COMMIT")
    await store.stop()
    assert (await refresh(bench.open(), token)).reason is Reason.SIGNED_OUT


async def _ends_of_connecting(times: int) -> Counter[str]:
    """How so many attempts end, all at once, at a server that resets every connection while our loop is busy."""
    ends: Counter[str] = Counter()

    async def attempt(port: int) -> None:
        try:
            await connect(f"mysql://a:b@127.0.0.1:{port}/x", prefix="")
        except FAILURES:
            ends["a failure"] += 1
        except Exception as error:  # noqa: BLE001 - counted, and refused by the test
            ends[repr(error)] += 1

    async def be_busy() -> None:
        for _ in range(times):
            time.sleep(0.003)  # what is tested: a loop that does not run while its sockets are reset
            await asyncio.sleep(0)

    with socket.create_server(("127.0.0.1", 0), backlog=times) as listening:
        Thread(target=_reset_all, args=(listening, times), daemon=True).start()
        await asyncio.gather(be_busy(), *(attempt(listening.getsockname()[1]) for _ in range(times)))
    return ends


def _reset_all(listening: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = listening.accept()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(random.uniform(0, 0.0005))  # so that resets fall on every moment of connecting
        connection.close()


def test_a_connection_that_is_reset_while_it_is_opened_is_a_failure_like_any_other() -> None:
    """Whatever the driver makes of it, over the server's own event loop callers are told 503, and no fault of ours."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(_ends_of_connecting(300)) == {"a failure": 300}
