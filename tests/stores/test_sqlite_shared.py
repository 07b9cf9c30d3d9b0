"""The SQLite store in a file of the host application's: held to the same contract, and to leaving the host alone."""

import contextlib
import logging
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evertoken.errors import ConfigurationError, StoreUnavailable
from evertoken.stores.sqlite import connection as sqlite_connection
from evertoken.stores.sqlite.naming import migrations, own_names
from tests.stores.compliance.accounts import AccountsAndEpochs
from tests.stores.compliance.adopting import Adopting
from tests.stores.compliance.agreement import Agreement
from tests.stores.compliance.attempts import Attempts
from tests.stores.compliance.audit import AuditAndRevocations
from tests.stores.compliance.bench import refresh, signed_in
from tests.stores.compliance.endings import SignInsAndEndings
from tests.stores.compliance.keys_clients import KeysAndClients
from tests.stores.compliance.operating import Operating
from tests.stores.compliance.rotation import Rotation
from tests.stores.compliance.sweeping import Sweeping
from tests.stores.compliance.users_joined import UsersInTheSameDatabase
from tests.stores.faults import is_intact, is_out, locked_by_another_process
from tests.stores.sqlite_bench import SqliteBench
from tests.support.clock import MovingClock

PREFIX = "evertoken_"
HOSTS = ("users", "sessions", "events", "clients", "schema", "sessions_of_user", "things")

TRY_THE_LOCK = """
import sqlite3, sys
sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0).execute("BEGIN IMMEDIATE")
"""


def host_file(path: Path, *, journal_mode: str = "wal") -> Path:
    """A host's database with tables of the same names as ours, a version and an application id of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as host, host:
        assert host.execute(f"PRAGMA journal_mode = {journal_mode}").fetchone() == (journal_mode,)
        for name in HOSTS:
            host.execute(f"CREATE TABLE {name} (theirs TEXT)")
            host.execute(f"INSERT INTO {name} VALUES ('a row of the host')")
        host.execute("PRAGMA user_version = 77")
        host.execute("PRAGMA application_id = 4711")
    return path


def of_the_host(path: Path) -> list[object]:
    """All that is the host's in its file."""
    with contextlib.closing(sqlite3.connect(path)) as host:
        schema = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'evertoken%' ESCAPE '!' AND name NOT LIKE"
        found: list[object] = host.execute(
            f"{schema} 'sqlite!_%' ESCAPE '!' AND tbl_name NOT LIKE 'evertoken%' ORDER BY name"
        ).fetchall()
        found += [host.execute(f"SELECT * FROM {name}").fetchall() for name in HOSTS]
        found += [host.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "application_id")]
        return found


@pytest.fixture
def bench(tmp_path: Path, clock: MovingClock) -> Iterator[SqliteBench]:
    """A host's file, which is as it was when the test is over."""
    path = host_file(tmp_path / "data" / "host.db")
    before = of_the_host(path)
    made = SqliteBench(path, clock, prefix=PREFIX)
    yield made
    made.close()
    assert of_the_host(path) == before


class TestAgreement(Agreement):
    """Rotation as one conditional UPDATE."""


class TestRotation(Rotation):
    """Refreshes."""


class TestUsersInTheSameDatabase(UsersInTheSameDatabase):
    """Users beside their sessions."""

    async def raise_epochs(self, bench: SqliteBench) -> None:
        with bench.connection() as connection:
            connection.execute(bench.named("UPDATE users SET epoch = epoch + 1"))


class TestSignInsAndEndings(SignInsAndEndings):
    """Where sessions begin and end."""


class TestAccountsAndEpochs(AccountsAndEpochs):
    """Accounts."""


class TestAttempts(Attempts):
    """Throttling."""


class TestAdopting(Adopting):
    """Coming over from another library."""


class TestKeysAndClients(KeysAndClients):
    """Keys and clients."""


class TestAuditAndRevocations(AuditAndRevocations):
    """The trail and the feed."""


class TestOperating(Operating):
    """What an operator asks."""


class TestSweeping(Sweeping):
    """What goes."""


async def test_our_tables_stand_beside_the_hosts_under_the_prefix(bench: SqliteBench) -> None:
    """Every table and index of ours bears the prefix, and nothing else is added to the host's file."""
    await signed_in(bench.open(), bench.clock)
    with bench.connection() as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")}
    assert names - set(HOSTS) == {PREFIX + name for name in own_names()} | {f"{PREFIX}schema"}


async def test_a_statement_that_names_a_table_of_the_host_is_refused_by_the_database(bench: SqliteBench) -> None:
    """A table that is not ours cannot be read, written, changed or dropped over our connection, even by mistake."""
    bench.open()
    for statement in (
        "SELECT * FROM things",
        "INSERT INTO things VALUES ('x')",
        "UPDATE things SET theirs = 'x'",
        "DELETE FROM things",
        "DROP TABLE things",
        "ALTER TABLE things ADD COLUMN x",
        "CREATE TABLE another (x)",
        "SELECT id FROM evertoken_sessions WHERE id IN (SELECT theirs FROM things)",
    ):
        with (
            contextlib.closing(sqlite_connection.open_for_writing(bench.path, PREFIX)) as ours,
            pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited"),
        ):
            ours.execute(statement)


def test_no_column_of_ours_bears_the_name_of_a_table_or_an_index(tmp_path: Path, clock: MovingClock) -> None:
    """The prefix goes before names wherever they stand, so none of them may mean anything else."""
    bench = SqliteBench(tmp_path / "evertoken.db", clock)
    bench.open()
    with bench.connection() as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {row[1] for table in tables for row in connection.execute(f"PRAGMA table_info({table})")}
        made = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")}
    bench.close()
    assert made == own_names()
    assert not columns & own_names()


async def test_a_second_worker_and_a_restart_find_what_the_first_has_stored(bench: SqliteBench) -> None:
    """Opening the file again makes nothing anew."""
    first = bench.open()
    token = await signed_in(first, bench.clock)
    await is_intact(bench.open(), token)
    bench.close()
    await is_intact(bench.open(), token)


async def test_two_servers_with_two_prefixes_share_a_file_and_know_nothing_of_each_other(bench: SqliteBench) -> None:
    """Each has its own users and sessions."""
    token = await signed_in(bench.open(), bench.clock)
    other = SqliteBench(bench.path, bench.clock, prefix="shop_")
    try:
        store = other.open()
        assert await store.find(token.session_id) is None
        await is_intact(store, await signed_in(store, bench.clock))
    finally:
        other.close()
        with bench.connection() as connection:
            for name in own_names() | {"schema"}:
                kind = connection.execute("SELECT type FROM sqlite_master WHERE name = ?", (f"shop_{name}",)).fetchone()
                if kind == ("table",):
                    connection.execute(f"DROP TABLE shop_{name}")


async def test_a_write_of_the_host_that_takes_long_is_a_503_and_ends_no_session(
    bench: SqliteBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the host holds its own transaction open nothing can be stored; afterwards every session goes on."""
    monkeypatch.setattr("evertoken.stores.sqlite.worker.LOCK_WAIT_SECONDS", 0.05)
    store = bench.open()
    token = await signed_in(store, bench.clock)
    with locked_by_another_process(bench.path):
        await is_out(store, token)
    await is_intact(store, token)


async def test_the_host_may_read_and_write_in_long_transactions_beside_us(bench: SqliteBench) -> None:
    """A read of the host that stays open hinders no refresh, and it sees its own snapshot."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    with contextlib.closing(sqlite3.connect(bench.path, isolation_level=None)) as host:
        host.execute("BEGIN")
        assert host.execute(f"SELECT count(*) FROM {PREFIX}sessions").fetchone() == (1,)
        await is_intact(store, token, await signed_in(store, bench.clock, "bob"))
        assert host.execute(f"SELECT count(*) FROM {PREFIX}sessions").fetchone() == (1,)
        host.execute("COMMIT")
        host.execute("CREATE TABLE later (x)")
        await is_intact(store, token)
        host.execute("DROP TABLE later")


def test_a_file_in_rollback_mode_is_turned_to_wal_and_the_log_says_so(
    tmp_path: Path, clock: MovingClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The one thing that changes for the host is the journal mode; it is said once."""
    path = host_file(tmp_path / "host.db", journal_mode="delete")
    before = of_the_host(path)
    bench = SqliteBench(path, clock, prefix=PREFIX)
    with caplog.at_level(logging.WARNING):
        bench.open()
        bench.open()
    bench.close()
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} was in journal mode delete and is in WAL mode from now on, for every program"
    ]
    assert of_the_host(path) == before
    with contextlib.closing(sqlite3.connect(path)) as host:
        assert host.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_of_evertokens_own_is_not_opened_with_a_prefix(tmp_path: Path, clock: MovingClock) -> None:
    """Setting a prefix on a store in use would sign everybody out, so it is refused, and so is the other way round."""
    own = SqliteBench(tmp_path / "evertoken.db", clock)
    own.open()
    own.close()
    with pytest.raises(ConfigurationError, match=r"^table_prefix: .*leave it empty$"):
        SqliteBench(own.path, clock, prefix=PREFIX).open()
    shared = SqliteBench(host_file(tmp_path / "host.db", journal_mode="delete"), clock, prefix=PREFIX)
    before = shared.path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"^store: .*set table_prefix to share it$"):
        SqliteBench(shared.path, clock).open()
    assert shared.path.read_bytes() == before


def test_names_that_the_host_has_taken_are_refused_and_nothing_is_made(tmp_path: Path, clock: MovingClock) -> None:
    """A table of the host under one of our names stops the start, and no half of our tables stays behind."""
    path = host_file(tmp_path / "host.db")
    with contextlib.closing(sqlite3.connect(path)) as host, host:
        host.execute("CREATE TABLE evertoken_throttle (theirs)")
    with pytest.raises(ConfigurationError, match="evertoken_throttle already exists"):
        SqliteBench(path, clock, prefix=PREFIX).open()
    with contextlib.closing(sqlite3.connect(path)) as host:
        made = host.execute("SELECT name FROM sqlite_master WHERE name LIKE 'evertoken%'").fetchall()
    assert made == [("evertoken_throttle",)]


def test_tables_of_a_newer_evertoken_are_refused_at_the_start(bench: SqliteBench) -> None:
    """The version stands in a table of ours, for the one in the file's header is the host's."""
    bench.open()
    with bench.connection() as connection:
        assert connection.execute(f"SELECT version FROM {PREFIX}schema").fetchall() == [(len(migrations()),)]
        connection.execute(f"UPDATE {PREFIX}schema SET version = 9999")
    with pytest.raises(ConfigurationError, match="newer evertoken \\(schema 9999"):
        bench.open()


@pytest.mark.parametrize("version", range(1, len(migrations())))
async def test_tables_of_an_older_version_are_brought_up_to_date(
    bench: SqliteBench, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever version made them, and without a change to the host's own."""
    with monkeypatch.context() as older:
        older.setattr(sqlite_connection, "migrations", lambda: migrations()[:version])
        sqlite_connection.prepare(bench.path, prefix=PREFIX)
    store = bench.open()
    await is_intact(store, await signed_in(store, bench.clock))


async def test_a_backup_of_the_hosts_that_is_put_back_goes_on(bench: SqliteBench, tmp_path: Path) -> None:
    """A restored file, in whatever journal mode it was copied, holds the host's tables and our sessions."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    with bench.connection() as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
    await signed_in(store, bench.clock, "later")
    shutil.move(tmp_path / "backup.db", bench.path)
    await is_intact(store, token)
    assert len(await store.list_sessions()) == 1


async def test_our_tables_dropped_under_us_are_a_503_and_never_a_sign_out(bench: SqliteBench, tmp_path: Path) -> None:
    """Where a migration of the host's has dropped our tables, everything waits for the backup."""
    store = bench.open()
    token = await signed_in(store, bench.clock)
    with bench.connection() as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
        connection.execute(f"DROP TABLE {PREFIX}sessions")
    with pytest.raises(StoreUnavailable, match="no such table"):
        await refresh(store, token)
    shutil.move(tmp_path / "backup.db", bench.path)
    await is_intact(store, token)


def test_opening_the_file_keeps_the_locks_that_the_host_holds_in_this_process(
    tmp_path: Path, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host in the same process may be in the middle of a write: another process still finds the file locked."""
    path = host_file(tmp_path / "host.db", journal_mode="delete")
    bench = SqliteBench(path, clock, prefix=PREFIX)
    monkeypatch.setattr(sqlite_connection, "LOCK_WAIT_SECONDS", 0.05)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as host:
        host.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConfigurationError, match="locked"):
            bench.open()
        elsewhere = subprocess.run(
            [sys.executable, "-c", TRY_THE_LOCK, str(path)], capture_output=True, timeout=60, check=False
        )
        assert b"database is locked" in elsewhere.stderr
        host.execute("COMMIT")
    bench.open()
    bench.close()
