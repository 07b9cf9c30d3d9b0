"""evertoken store migrate, and evertoken store check."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from evertoken.clock import system_clock
from evertoken.sessions.model import session_id_text
from evertoken.stores.sqlite.connection import APPLICATION_ID
from evertoken.stores.sqlite.naming import migrations
from tests.cli.store_stage import Filled, Run, said, sql, typing
from tests.stores.mysql.server import MariadbServer, running_mariadb
from tests.stores.postgresql.server import PASSWORD, PASSWORD_ITSELF, PostgresServer, running_postgres
from tests.stores.redis.server import RedisServer, running_redis
from tests.support.process import lasting_port


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return typing(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as running:
        yield running


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariadbServer]:
    with running_mariadb() as running:
        yield running


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with running_redis("appendonly yes", "appendfsync everysec") as running:
        yield running


def _older_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(migrations()[0])
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")


def test_migrate_brings_older_tables_to_this_version_and_says_from_what_to_what(run: Run, tmp_path: Path) -> None:
    """The second time there is nothing to do, which is said, and is no failure."""
    _older_database(tmp_path / "old.db")
    newest = len(migrations())
    assert run("store", "check", "--store", "old.db").exit_code == 1
    done = run("store", "migrate", "--store", "old.db")
    assert (done.exit_code, done.output) == (0, f"old.db was brought from 1 to version {newest}\n")
    again = run("store", "migrate", "--store", "old.db")
    assert (again.exit_code, again.output) == (0, f"old.db is of version {newest} already; there is nothing to do\n")
    assert run("store", "check", "--store", "old.db").exit_code == 0


def test_migrate_makes_the_tables_of_a_database_server_but_no_file(
    run: Run, postgres: PostgresServer, mariadb: MariadbServer, redis: RedisServer, tmp_path: Path
) -> None:
    """A mistyped path makes no database; an empty schema is the first version of all. Redis has users beside it."""
    missing = run("store", "migrate", "--store", "mistyped.db")
    assert missing.exit_code == 1
    assert "there is no database at mistyped.db" in missing.output
    assert not (tmp_path / "mistyped.db").exists()
    for server in (postgres, mariadb):
        made = run("store", "migrate", "--store", server.url(), "--table-prefix", "made_")
        assert "was brought from nothing to version 0001" in made.output
        assert PASSWORD not in made.output
        again = run("store", "migrate", "--store", server.url(), "--table-prefix", "made_")
        assert "there is nothing to do" in again.output
    beside = run("store", "migrate", "--store", redis.url(), "--users-store", postgres.url(), "--table-prefix", "made_")
    assert "from nothing to version 1" in beside.output
    assert "version 0001 already" in beside.output


def test_a_store_that_is_whole_is_said_to_be(run: Run, tmp_path: Path) -> None:
    """Every line of the report is ok, and the status is 0."""
    Filled("whole.db").make()
    found = run("store", "check", "--store", "whole.db")
    assert found.exit_code == 0, found.output
    lines = [line for line in found.stdout.splitlines() if line]
    assert {line[:5] for line in lines} == {"ok   "}
    assert any("3 live, 0 ended, 0 expired" in line for line in lines)
    assert any("1 users, 3 sessions" in line for line in lines)
    as_json = run("store", "check", "--store", "whole.db", "--json", "--quick")
    parts = [json.loads(line)["part"] for line in as_json.stdout.splitlines()]
    assert "feed" in parts
    assert "sessions" not in parts


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("DELETE FROM users", "3 live ones have no user: "),
        ("UPDATE sessions SET idle_expires_at_ms = idle_expires_at_ms * 2", "3 live longer than idle_lifetime"),
        ("UPDATE sessions SET secret_id = x'01020304'", "3 live sessions were made by a secret that is not known"),
        ("UPDATE sqlite_sequence SET seq = 5 WHERE name = 'revocations'", "its counter stands at 5, below"),
        ("UPDATE signing_keys SET private_wrapped = x'00' WHERE signs_from_ms = 0", "does not open; secret: "),
        ("PRAGMA user_version = 99", "version: is 99, this evertoken's is"),
    ],
)
def test_each_kind_of_harm_is_a_line_and_a_status_of_1(run: Run, tmp_path: Path, harm: str, told: str) -> None:
    """Sessions without users, beyond their limits or of a lost secret, keys that do not open, numbers that fall."""
    filled = Filled("harmed.db").make(4)
    run("keys", "rotate", "--store", "harmed.db")
    run("sessions", "revoke", "--store", "harmed.db", *_id(filled))
    sound = run("store", "check", "--store", "harmed.db")
    assert sound.exit_code == 0, sound.output
    sql("harmed.db", harm)
    found = run("store", "check", "--store", "harmed.db")
    assert found.exit_code == 1
    assert told in found.output
    (fault,) = [line for line in found.stdout.splitlines() if line.startswith("FAULT")]
    assert told in fault


def _id(filled: Filled) -> list[str]:
    return [session_id_text(filled.tokens[0].session_id)]


def test_a_database_server_is_checked_with_its_durability_and_its_clock(
    run: Run, postgres: PostgresServer, mariadb: MariadbServer, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a crash would lose is a warning each; so is a clock that differs by more than half a minute."""
    for server, warning in (
        (postgres, "fsync is off; a crash of the machine may damage the database"),
        (mariadb, "innodb_flush_log_at_trx_commit is 2; a crash loses the sign-ins and sign-outs of about a second"),
    ):
        Filled(server.url()).make()
        found = run("store", "check", "--store", server.url())
        assert found.exit_code == 0, found.output
        assert f"warn   durability: {warning}" in found.output
        assert "3 live, 0 ended" in found.output
        assert PASSWORD not in found.output
    Filled(redis.url(), users="users.db").make()
    found = run("store", "check", "--store", redis.url(), "--users-store", "users.db")
    assert found.exit_code == 0, found.output
    assert "warn   durability: appendonly is on, appendfsync is everysec" in found.output
    assert "1 users, 3 sessions" in found.output
    sql("users.db", "DELETE FROM users")
    assert run("store", "check", "--store", redis.url(), "--users-store", "users.db").exit_code == 1
    monkeypatch.setattr("evertoken.cli.store.check.system_clock", lambda: system_clock() - 40_000)
    for server in (postgres, mariadb):
        found = run("store", "check", "--store", server.url())
        assert "warn   clocks: the store's clock is 40." in found.output
        assert found.exit_code == 0


def test_a_store_that_cannot_be_reached_is_a_fault_that_shows_no_password(run: Run) -> None:
    """One line, whatever the engine."""
    for scheme, rest in (("postgresql", "/evertoken"), ("mysql", "/evertoken"), ("redis", "/0")):
        users = ["--users-store", "users.db"] if scheme == "redis" else []
        found = run("store", "check", "--store", f"{scheme}://u:{PASSWORD}@127.0.0.1:{lasting_port()}{rest}", *users)
        assert found.exit_code == 1
        assert found.stdout.startswith("FAULT  store: ")
        assert found.stdout.count("\n") == 1
        assert PASSWORD not in said(found)
        assert PASSWORD_ITSELF not in said(found)
