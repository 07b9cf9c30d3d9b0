"""The file is deleted, moved, restored or replaced while the store is running."""

from pathlib import Path

import pytest

from evertoken.errors import StoreUnavailable
from evertoken.sessions.rotation import Outcome, Reason
from tests.stores.compliance.bench import (
    LAPTOP,
    RIPE,
    add_user,
    refresh,
    sign_in,
    signed_in,
    succeed,
)
from tests.stores.faults import back_up, is_intact, is_out
from tests.stores.sqlite_bench import SqliteBench


async def test_a_file_deleted_while_open_is_a_503_and_never_begun_anew(bench: SqliteBench) -> None:
    """A lost database is not silently replaced by an empty one, which would sign everybody out."""
    store, clock = bench.open(), bench.clock
    token = await signed_in(store, clock)
    for leftover in bench.path.parent.iterdir():
        leftover.unlink()
    await is_out(store, token)
    with pytest.raises(StoreUnavailable):
        await store.find(token.session_id)
    assert list(bench.path.parent.iterdir()) == []


async def test_a_folder_that_went_away_and_came_back_is_taken_up_again(bench: SqliteBench) -> None:
    """A disk that is unmounted for a while is a 503 meanwhile, and all sessions are there afterwards."""
    store, clock = bench.open(), bench.clock
    token = await signed_in(store, clock)
    folder = bench.path.parent
    folder.rename(folder.with_name("away"))
    await is_out(store, token)
    folder.with_name("away").rename(folder)
    await is_intact(store, token)


@pytest.mark.parametrize("made_by", ["backup", "vacuum"])
@pytest.mark.parametrize("keeps_log", [True, False])
async def test_an_older_backup_put_in_place_while_running_is_used_and_not_mixed_with_the_log_of_the_other(
    bench: SqliteBench, made_by: str, *, keeps_log: bool
) -> None:
    """A restored backup is read as it is, though the log of the database before it may still lie beside it."""
    store, second, clock = bench.open(), bench.open(), bench.clock
    user = await add_user(store)
    kept = [await sign_in(store, clock, user) for _ in range(40)]
    backup = bench.path.parent / "backup.db"
    back_up(bench, backup, made_by)
    lost = [await sign_in(store, clock, user) for _ in range(40)]
    moved = await succeed(store, clock, kept[0])
    await is_intact(second, *lost)
    if not keeps_log:
        for suffix in ("-wal", "-shm"):
            Path(f"{bench.path}{suffix}").unlink()
    backup.replace(bench.path)
    await is_intact(store, *kept[1:])
    await is_intact(second, *kept[1:])
    assert len(await second.list_sessions(limit=999)) == 40
    assert (await refresh(store, lost[0])).reason is Reason.UNKNOWN
    assert (await refresh(second, moved)).outcome in {Outcome.ADVANCE, Outcome.REISSUE}
    more = [await sign_in(one, clock, user) for one in (store, second) for _ in range(20)]
    await is_intact(second, *more)
    with bench.connection() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_guard_misses_no_revocation_after_an_older_backup_is_restored(bench: SqliteBench) -> None:
    """What is revoked after a restore lies after every cursor that a guard had before it."""
    store, clock = bench.open(), bench.clock
    user = await add_user(store)
    tokens = [await sign_in(store, clock, user) for _ in range(8)]
    backup = bench.path.parent / "backup.db"
    back_up(bench, backup, "backup")
    for token in tokens[:5]:
        await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)
    cursor = (await store.revocations_after(0)).cursor
    backup.replace(bench.path)
    clock.advance(1)
    for token in tokens[2:]:
        await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)
    told = (await store.revocations_after(cursor)).session_ids
    assert [session_id for session_id, _ in told] == [token.session_id for token in tokens[2:]]


async def test_tokens_that_were_dead_before_a_restore_do_not_come_back_to_life_for_good(bench: SqliteBench) -> None:
    """After a restore the owner's newest token heals its session, and an older one that a thief kept ends it."""
    store, clock = bench.open(), bench.clock
    token = stolen = await signed_in(store, clock)
    backup = bench.path.parent / "backup.db"
    back_up(bench, backup, "backup")
    for _ in range(3):
        token = await succeed(store, clock, token)
    backup.replace(bench.path)
    clock.advance(RIPE)
    assert (await refresh(store, token)).healed
    clock.advance(RIPE)
    assert (await refresh(store, stolen)).outcome is Outcome.REPLAY


@pytest.mark.parametrize("content", [b"", b"garbage " * 1_000])
async def test_something_else_put_in_place_of_the_file_is_a_503_until_the_right_one_is_back(
    bench: SqliteBench, content: bytes
) -> None:
    """An empty file or one of garbage under the database's name signs nobody out and is left as it is."""
    store, clock = bench.open(), bench.clock
    token = await signed_in(store, clock)
    with bench.connection() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    right = bench.path.with_name("right.db")
    bench.path.rename(right)
    bench.path.write_bytes(content)
    await is_out(store, token)
    with pytest.raises(StoreUnavailable):
        await store.find(token.session_id)
    assert bench.path.read_bytes() == content
    right.replace(bench.path)
    await is_intact(store, token)


async def test_an_outage_leaks_no_file_descriptors(bench: SqliteBench) -> None:
    """However often a broken database is tried again, nothing is left open behind it."""
    store, clock = bench.open(), bench.clock
    token = await signed_in(store, clock)
    bench.path.rename(bench.path.with_name("right.db"))
    bench.path.write_bytes(b"garbage " * 1_000)
    await is_out(store, token)
    before = _open_files()
    for _ in range(20):
        await is_out(store, token)
    assert _open_files() <= before + 2


def _open_files() -> int:
    """How many files this process has open, where the system tells."""
    opened = Path("/proc/self/fd")
    return len(list(opened.iterdir())) if opened.exists() else 0
