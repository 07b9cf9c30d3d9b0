"""What a PostgreSQL server, or the way to it, can do to a running store: 503 for a while, and nobody is signed out."""

import asyncio
import contextlib
import os
import secrets
import traceback
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

import pytest
from alembic.script import ScriptDirectory

from evertoken.clock import system_clock
from evertoken.errors import ConfigurationError, StoreUnavailable
from evertoken.sessions.group_commit import GroupCommit
from evertoken.sessions.model import Event, EventKind, RotationRequest, RotationResult
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.opening import Manner, open_store
from evertoken.stores.postgresql import connection, migrations, pool, schema
from evertoken.stores.postgresql.store import PostgresStore
from tests.stores.compliance.bench import (
    ACCESS_LIFETIME_MS,
    LAPTOP,
    POLICY,
    add_user,
    refresh,
    sign_in,
    signed_in,
    succeed,
)
from tests.stores.compliance.server_faults import SOON_SECONDS, ServerFaults, is_well, nobody_is_signed_out
from tests.stores.faults import is_out, small_disk
from tests.stores.postgresql.bench import PostgresBench
from tests.stores.postgresql.server import PASSWORD_ITSELF, PostgresServer
from tests.support.clock import MovingClock


class TestServerFaults(ServerFaults):
    """Those of every server."""

    calls = pool


async def test_a_database_that_is_restarted_under_load_signs_nobody_out(
    bench: PostgresBench, server: PostgresServer
) -> None:
    """While the database is away everybody is told 503; once it is back all go on, and no answer was false."""
    await nobody_is_signed_out(bench, end=server.stop, start=server.start)


async def test_a_read_only_database_refuses_for_now_and_is_found_again(bench: PostgresBench) -> None:
    """A primary that became a standby, or a full disk's emergency brake: 503 until it takes writes again."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    async with bench.connection() as admin:
        await admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await admin.execute("SELECT pg_reload_conf()")
        try:
            async with asyncio.timeout(SOON_SECONDS):
                with contextlib.suppress(StoreUnavailable):
                    while True:  # each of the server's processes reads its settings in its own time
                        await store.ping()
            await is_out(store, token)
            with pytest.raises(ConfigurationError, match="read-only; name the primary"):
                await bench.open().start()
        finally:
            await admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
            await admin.execute("SELECT pg_reload_conf()")
    await is_well(store, token)


async def _again_and_again(step: Callable[[], Awaitable[object]]) -> None:
    for _ in range(5_000):
        await step()


async def test_a_full_disk_refuses_what_needs_room_and_ends_no_session(
    bench: PostgresBench, server: PostgresServer
) -> None:
    """While there is no room for another line of the audit trail: 503 for sign-ins, and refreshes go on."""
    store = bench.open(sessions_per_user=10_000)  # the cap would end the first of so many
    user = await add_user(store)
    token = await sign_in(store, bench.clock, user)
    event = Event(EventKind.STALE, bench.clock(), detail={"text": secrets.token_hex(3_000)})
    with small_disk(server.folder / "small") as disk:
        owner = (server.folder / "data").stat()
        os.chown(disk, owner.st_uid, owner.st_gid)
        async with bench.connection() as admin:
            await admin.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            await admin.execute("ALTER TABLE events SET TABLESPACE small")
            try:
                with pytest.raises(StoreUnavailable, match="could not extend file"):
                    await _again_and_again(lambda: store.record(event))
                with pytest.raises(StoreUnavailable):  # there may be room for a few short lines still
                    await _again_and_again(lambda: sign_in(store, bench.clock, user))
                assert (await refresh(store, token)).outcome is Outcome.REISSUE
            finally:
                await admin.execute("ALTER TABLE events SET TABLESPACE pg_default")
                await admin.execute("DROP TABLESPACE small")
            await sign_in(store, bench.clock, user)


@pytest.mark.parametrize("presented", ["newest", "replayed"])
async def test_a_row_that_somebody_holds_is_503_for_its_own_session_and_no_other(
    bench: PostgresBench, monkeypatch: pytest.MonkeyPatch, presented: str
) -> None:
    """A transaction that is left open on a session keeps nobody else waiting, though they came in one batch with it."""
    monkeypatch.setattr(pool, "REFRESH_LOCK_WITHIN_MS", 200)
    monkeypatch.setitem(connection._SETTINGS, "statement_timeout", "1500")
    store = bench.open()
    user = await add_user(store)
    held, *free = [await sign_in(store, bench.clock, user) for _ in range(5)]
    newest = await succeed(store, bench.clock, held)
    bench.clock.advance(POLICY.overlap_ms / 1000 + 1)
    token = newest if presented == "newest" else held
    queue = GroupCommit(store.rotate)
    async with bench.connection() as other, other.transaction():
        await other.fetch("SELECT id FROM sessions WHERE id = $1 FOR UPDATE", held.session_id)
        batch = [asyncio.create_task(queue.submit(RotationRequest(one, LAPTOP))) for one in (token, *free)]
        async with asyncio.timeout(SOON_SECONDS):
            refused, *others = await asyncio.gather(*batch, return_exceptions=True)
        assert isinstance(refused, StoreUnavailable)
        assert [one.outcome for one in others if isinstance(one, RotationResult)] == [Outcome.REISSUE] * 4
        with pytest.raises(StoreUnavailable, match="statement timeout"):
            await store.end(held.session_id, Reason.SIGNED_OUT, LAPTOP)
        assert (await bench.read_rows([held.session_id]))[held.session_id].over is None
    await is_well(store, newest)


async def test_a_deadlock_is_tried_again_and_nobody_is_told(
    bench: PostgresBench, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the database undoes a batch for the sake of another transaction, it is run once more."""
    caplog.set_level("INFO", logger=pool.__name__)
    store = bench.open()
    user = await add_user(store)
    tokens = sorted([await sign_in(store, bench.clock, user) for _ in range(2)], key=lambda token: token.session_id)
    async with bench.connection() as other:
        await other.execute("SET deadlock_timeout = '60s'")  # so that it is the store's statement that is undone
        async with other.transaction():
            await other.fetch("SELECT id FROM sessions WHERE id = $1 FOR UPDATE", tokens[1].session_id)
            batch = asyncio.create_task(store.rotate([RotationRequest(token, LAPTOP) for token in tokens]))
            async with asyncio.timeout(SOON_SECONDS):
                while not await _waiting(other):
                    await asyncio.sleep(0.005)
                await other.fetch("SELECT id FROM sessions WHERE id = $1 FOR UPDATE", tokens[0].session_id)
    async with asyncio.timeout(SOON_SECONDS):
        assert [result.outcome for result in await batch] == [Outcome.REISSUE] * 2
    assert "it is run anew: DeadlockDetectedError" in caplog.text


async def _waiting(other: Any) -> bool:
    return bool(await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


async def test_a_sign_out_whose_caller_is_gone_is_finished(bench: PostgresBench) -> None:
    """A caller that is cancelled does not leave a sign-out half done."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    async with bench.connection() as other, other.transaction():
        await other.fetch("SELECT id FROM sessions WHERE id = $1 FOR UPDATE", token.session_id)
        ending = asyncio.create_task(store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP))
        async with asyncio.timeout(SOON_SECONDS):
            while not await _waiting(other):
                await asyncio.sleep(0.005)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
    await store.stop()
    assert (await refresh(bench.open(), token)).reason is Reason.SIGNED_OUT


def _at(url: str) -> Any:
    manner = Manner(
        policy=POLICY,
        access_lifetime_ms=ACCESS_LIFETIME_MS,
        sessions_per_user=100,
        users_elsewhere=False,
        may_create=False,
    )
    return open_store(url, manner, clock=system_clock)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"password": "wrong-horse"}, "refuses this user or password"),
        ({"database": "nope"}, "there is no such database"),
        ({"port": 1}, "cannot be reached"),
        ({"database": "template1"}, "has no tables of evertoken in its schema evertoken"),
        ({"database": "postgres?sslmode=require"}, "cannot be reached"),
        ({"database": "postgres?sslmode=perhaps"}, "sslmode"),
    ],
)
async def test_what_is_wrong_at_the_start_is_said_in_one_line_without_the_password(
    bench: PostgresBench, server: PostgresServer, changed: dict[str, Any], told: str
) -> None:
    """A wrong address, password or database is one clear message; the password stands nowhere in it."""
    store = _at(server.url(**changed))
    with pytest.raises(ConfigurationError, match=told) as raised:
        await store.start()
    await store.stop()
    text = "".join(traceback.format_exception(raised.value)) + repr(store) + repr(raised.value)
    assert "\n" not in str(raised.value)
    for secret in ("p4ss", PASSWORD_ITSELF, "wrong-horse"):
        assert secret not in text


async def test_tables_of_a_newer_evertoken_are_refused(bench: PostgresBench, server: PostgresServer) -> None:
    """A server that was set back finds tables that it does not know, and leaves them alone."""
    async with bench.connection() as admin:
        await admin.execute("UPDATE schema_version SET version_num = '9999'")
        try:
            with pytest.raises(ConfigurationError, match="was written by a newer evertoken"):
                await _at(server.url()).start()
        finally:
            await admin.execute("UPDATE schema_version SET version_num = '0001'")


def test_the_versions_that_are_known_are_those_of_the_history() -> None:
    """Alembic is imported only where there is a step to take; what is known without it is what it would say."""
    history = ScriptDirectory(str(resources.files(migrations)))
    assert tuple(step.revision for step in history.walk_revisions())[::-1] == schema.VERSIONS
    assert "CREATE TABLE sessions" in schema.script(None)
    assert "CREATE TABLE" not in schema.script(schema.VERSIONS[-1])


async def test_a_schema_of_another_program_is_left_alone(bench: PostgresBench, server: PostgresServer) -> None:
    """Where the schema's name is taken by other tables, nothing is made beside them."""
    async with bench.connection() as admin:
        await admin.execute("CREATE SCHEMA taken; CREATE TABLE taken.theirs ()")
    store = PostgresStore(server.url(), policy=POLICY, access_lifetime_ms=1, schema_name="taken")
    with pytest.raises(ConfigurationError, match="holds tables of another program"):
        await store.start()


async def test_a_user_of_few_rights_needs_a_schema_of_its_own(bench: PostgresBench, server: PostgresServer) -> None:
    """Who may not make schemas in the database is told so, and is content with one that was made for them."""
    async with bench.connection() as admin:
        await admin.execute("CREATE ROLE few LOGIN PASSWORD 'of-few-rights'")
        await admin.execute("CREATE SCHEMA own AUTHORIZATION few")
    url = server.url(password="of-few-rights").replace("evertoken:", "few:")
    refused = PostgresStore(url, policy=POLICY, access_lifetime_ms=1, schema_name="others")
    with pytest.raises(ConfigurationError, match="the user needs CREATE on the database, or a schema of its own"):
        await refused.start()
    store = PostgresStore(url, policy=POLICY, access_lifetime_ms=1, schema_name="own", clock=bench.clock)
    await store.start()
    token = await signed_in(store, bench.clock)
    assert (await refresh(store, token)).outcome is Outcome.REISSUE
    assert (await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)).session_ids
    assert await store.sweep() is None
    await store.stop()


async def test_many_servers_that_start_at_once_make_the_tables_once(server: PostgresServer, clock: MovingClock) -> None:
    """The first one makes the tables, the others wait for it."""
    async with asyncio.timeout(SOON_SECONDS):
        stores = [
            PostgresStore(server.url(), policy=POLICY, access_lifetime_ms=1, schema_name="together") for _ in range(6)
        ]
        await asyncio.gather(*(store.start() for store in stores))
        assert await stores[0].count_users() == (0, 0)
        for store in stores:
            await store.stop()
