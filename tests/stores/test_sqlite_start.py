"""What the server finds at the start in place of its database: it says so, and names the setting."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from evertoken.errors import ConfigurationError
from evertoken.stores.sqlite import connection as sqlite_connection
from tests.stores.faults import folder_of_an_ordinary_user, locked_by_another_process
from tests.stores.sqlite_bench import SqliteBench
from tests.support.clock import MovingClock


def refused(path: Path, clock: MovingClock) -> str:
    """Opening a store there is refused with an error that names the setting and the path; returns what it says."""
    with pytest.raises(ConfigurationError) as raised:
        SqliteBench(path, clock).open()
    assert raised.value.setting == "store"
    message = str(raised.value)
    assert message.startswith("store: ")
    assert str(path) in message
    return message


def test_a_file_of_garbage_is_refused_at_the_start_and_left_alone(tmp_path: Path, clock: MovingClock) -> None:
    """A file that is no database stops the server at the start, and nothing is written to it."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"not a database at all\n" * 400)
    assert "not a database" in refused(path, clock)
    assert path.read_bytes() == b"not a database at all\n" * 400


def test_the_database_of_another_program_is_refused_at_the_start(tmp_path: Path, clock: MovingClock) -> None:
    """We do not make our tables among somebody else's."""
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE sessions (theirs)")
    assert "another program" in refused(path, clock)
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("sessions",)]


def test_a_database_of_a_newer_evertoken_is_refused_at_the_start(bench: SqliteBench) -> None:
    """After a downgrade the server says so instead of guessing at tables it does not know."""
    bench.open()
    with bench.connection() as connection:
        connection.execute("PRAGMA user_version = 9999")
    assert "newer evertoken (schema 9999" in refused(bench.path, bench.clock)


def test_a_place_that_cannot_hold_a_file_is_refused_at_the_start(tmp_path: Path, clock: MovingClock) -> None:
    """A folder in place of the file, or a file in place of the folder, is said at the start."""
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", clock)
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file" / "evertoken.db", clock)


def test_a_folder_without_write_permission_is_refused_at_the_start(clock: MovingClock) -> None:
    """A server that may not write there says so before anybody signs in."""
    with folder_of_an_ordinary_user() as folder:
        folder.chmod(0o500)
        assert "Permission denied" in refused(folder / "evertoken.db", clock)


def test_a_database_that_stays_locked_is_refused_at_the_start(
    bench: SqliteBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that cannot get at its database does not start half."""
    bench.open()
    monkeypatch.setattr(sqlite_connection, "LOCK_WAIT_SECONDS", 0.05)
    with locked_by_another_process(bench.path):
        assert "locked" in refused(bench.path, bench.clock)


def test_a_worker_started_anew_does_not_replace_a_lost_database_by_an_empty_one(tmp_path: Path) -> None:
    """Where the database must be there already, its loss stops the worker: no session is said to be over."""
    lost = tmp_path / "lost.db"
    with pytest.raises(ConfigurationError, match=r"^store: .*lost\.db is gone"):
        sqlite_connection.prepare(lost, may_create=False)
    assert not lost.exists()
    sqlite_connection.prepare(lost)
    sqlite_connection.prepare(lost, may_create=False)
