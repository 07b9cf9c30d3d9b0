"""
Real faults of a real database file. Each is a 503 for those it hits, nothing that was acknowledged is lost, nobody is
signed out, and once the fault is gone the store goes on by itself.
"""

import asyncio
import resource
import shutil
from pathlib import Path

import pytest

from evertoken.errors import StoreUnavailable
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.sqlite import worker
from evertoken.tokens.refresh_token import RefreshToken
from tests.stores.compliance.bench import (
    LAPTOP,
    add_user,
    new_session,
    refresh,
    sign_in,
    signed_in,
)
from tests.stores.faults import (
    back_up,
    folder_of_an_ordinary_user,
    is_intact,
    is_out,
    locked_by_another_process,
    small_disk,
)
from tests.stores.sqlite_bench import SqliteBench
from tests.support.clock import MovingClock


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a lock after 50 ms instead of 5 s."""
    monkeypatch.setattr(worker, "LOCK_WAIT_SECONDS", 0.05)


async def test_a_lock_held_by_another_process_is_waited_for(bench: SqliteBench) -> None:
    """A backup or another worker that writes for a moment delays a refresh and fails none."""
    store, clock = bench.open(), bench.clock
    token = await signed_in(store, clock)
    with locked_by_another_process(bench.path):
        waiting = asyncio.create_task(refresh(store, token))
        assert await store.find(token.session_id) is not None
        assert not waiting.done()
    assert (await waiting).outcome is Outcome.REISSUE


@pytest.mark.usefixtures("impatient")
async def test_a_lock_that_is_never_released_is_a_503_and_reads_go_on(bench: SqliteBench) -> None:
    """While another process holds the lock nothing is written and nobody is signed out; afterwards all is well."""
    store, clock = bench.open(), bench.clock
    token = await signed_in(store, clock)
    with locked_by_another_process(bench.path):
        await is_out(store, token)
        assert await store.find(token.session_id) is not None
        assert (await store.revocations_after(0)).session_ids == ()
    await is_intact(store, token)


async def test_what_was_given_up_is_never_done_later(bench: SqliteBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh whose caller was told 503 has no effect once the lock is free, whether it had begun to wait or not."""
    store, clock = bench.open(), bench.clock
    token = await signed_in(store, clock)
    other = await signed_in(store, clock, "bob")
    before = await bench.read_rows([token.session_id, other.session_id])
    clock.advance(5)
    monkeypatch.setattr(worker, "ANSWER_WITHIN_SECONDS", 0.1)
    with locked_by_another_process(bench.path):
        begun = asyncio.create_task(refresh(store, token))
        await asyncio.sleep(0.05)
        queued = asyncio.create_task(store.end(other.session_id, Reason.SIGNED_OUT, LAPTOP))
        told = await asyncio.gather(begun, queued, return_exceptions=True)
        assert [type(one) for one in told] == [StoreUnavailable] * 2
    monkeypatch.setattr(worker, "ANSWER_WITHIN_SECONDS", 8.0)
    await store.ping()
    assert await bench.read_rows(before) == before
    await is_intact(store, token, other)


async def test_a_store_that_is_closed_refuses_and_what_was_queued_is_done(bench: SqliteBench) -> None:
    """Stopping finishes what has been asked for; what comes later is a 503."""
    store, clock = bench.open(), bench.clock
    token = await signed_in(store, clock)
    queued = [asyncio.create_task(refresh(store, token)) for _ in range(5)]
    await asyncio.sleep(0)
    store.close()
    assert [result.outcome for result in await asyncio.gather(*queued)] == [Outcome.REISSUE] * 5
    with pytest.raises(StoreUnavailable):
        await refresh(store, token)


async def test_a_file_that_may_not_grow_is_a_503_and_loses_nothing(bench: SqliteBench) -> None:
    """A disk quota that is reached stops writing; what was acknowledged stays, and more room lets it go on."""
    store, clock = bench.open(), bench.clock
    user = await add_user(store)
    tokens = [await sign_in(store, clock, user) for _ in range(5)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32_768, before[1]))
    try:
        await is_out(store, tokens[0])
        with pytest.raises(StoreUnavailable):
            await store.create(new_session(clock, user))
        assert len(await store.list_sessions()) == 5
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    await is_intact(store, *tokens)


async def test_a_full_disk_is_a_503_and_loses_nothing(tmp_path: Path, clock: MovingClock) -> None:
    """On a disk without room nothing is half written, reads go on, and freeing some room is enough."""
    with small_disk(tmp_path / "disk") as disk:
        bench = SqliteBench(disk / "evertoken.db", clock)
        store = bench.open()
        user = await add_user(store)
        tokens: list[RefreshToken] = []
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(200_000))
        with pytest.raises(StoreUnavailable):  # noqa: PT012
            while True:
                new = new_session(clock, user)
                await store.create(new)
                tokens.append(new.token)
        assert len(tokens) > 10
        assert len(await store.list_sessions(limit=9_999)) == len(tokens)
        ballast.unlink()
        await is_intact(store, *tokens)
        assert {record.id for record in await store.list_sessions(limit=9_999)} == {one.session_id for one in tokens}
        bench.close()


async def test_a_file_that_may_not_be_written_is_a_503_until_it_may(clock: MovingClock) -> None:
    """A database that was restored without write permission signs nobody out; setting the permission is enough."""
    with folder_of_an_ordinary_user() as folder:
        bench = SqliteBench(folder / "evertoken.db", clock)
        store = bench.open()
        token = await signed_in(store, clock)
        restored = folder / "restored.db"
        back_up(bench, restored, "backup")
        restored.chmod(0o400)
        restored.replace(bench.path)
        await is_out(store, token)
        bench.path.chmod(0o600)
        await is_intact(store, token)
        bench.close()


async def test_pages_that_went_bad_are_a_503_and_sign_nobody_out(bench: SqliteBench) -> None:
    """A damaged database answers 503 until a sound copy is put in its place."""
    store, clock = bench.open(), bench.clock
    user = await add_user(store)
    tokens = [await sign_in(store, clock, user) for _ in range(90)]
    bench.close()
    sound = bench.path.with_name("sound.db")
    shutil.copy(bench.path, sound)
    with bench.connection() as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sessions'").fetchone()[0]
    with bench.path.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xa5" * 4096)
    store = bench.open()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await refresh(store, tokens[0])
        with pytest.raises(StoreUnavailable):
            await store.find(tokens[0].session_id)
        with pytest.raises(StoreUnavailable):
            await store.create(new_session(clock, user))
    sound.replace(bench.path)
    await is_intact(store, *tokens)


async def test_one_callers_mistake_is_undone_alone(bench: SqliteBench) -> None:
    """A write that is refused for its own sake does not take the others of its commit with it."""
    store, clock = bench.open(), bench.clock
    token = await signed_in(store, clock)
    done = await asyncio.gather(
        refresh(store, token), add_user(store, "ADA"), add_user(store, "bob"), return_exceptions=True
    )
    assert [type(one).__name__ for one in done] == ["RotationResult", "UsernameTaken", "User"]
    assert await store.find_by_key("bob") is not None
