"""What stops a MariaDB or MySQL store at its start is told in one line; and how its tables come to be."""

import asyncio
import os
import traceback
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory

from evertoken.clock import system_clock
from evertoken.errors import ConfigurationError
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.store_address import check_server
from evertoken.stores.mysql import migrations, schema
from evertoken.stores.mysql.address import AddressError, arguments
from evertoken.stores.mysql.connection import Connection, connect
from evertoken.stores.mysql.statements import Sql
from evertoken.stores.mysql.store import MysqlStore
from evertoken.stores.opening import Manner, open_store
from tests.machines.certificates import made_for
from tests.stores.compliance.bench import ACCESS_LIFETIME_MS, LAPTOP, POLICY, refresh, signed_in
from tests.stores.mysql.bench import MariadbBench
from tests.stores.mysql.server import PASSWORD_ITSELF, MariadbServer, running_mariadb
from tests.support.clock import MovingClock

SOON_SECONDS = 30.0


def _at(url: str, *, may_create: bool = False, table_prefix: str = "") -> Any:
    manner = Manner(
        policy=POLICY,
        access_lifetime_ms=ACCESS_LIFETIME_MS,
        sessions_per_user=100,
        users_elsewhere=False,
        may_create=may_create,
    )
    return open_store(url, manner, clock=system_clock, table_prefix=table_prefix)


async def _tables(connection: Connection) -> set[str]:
    rows = await connection.fetch("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
    return {row[0] for row in rows}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"password": "wrong-horse"}, "refuses this user or password"),
        ({"database": "nope"}, "no such database, or the user has no right on it"),
        ({"port": 1}, "cannot be reached"),
        ({"database": "other"}, "has no tables of evertoken; correct the address"),
        ({"database": "evertoken?ssl_mode=required"}, "cannot be reached"),
        ({"database": "evertoken?ssl_mode=perhaps"}, "ssl_mode must be one of"),
        ({"database": "evertoken?sslmode=required"}, "a parameter that is not known here; known are ssl_mode"),
        ({"database": "evertoken?ssl_ca=/nowhere.pem"}, "a file of ssl_ca, ssl_cert or ssl_key: No such file"),
        ({"database": "evertoken?unix_socket=/nowhere/socket"}, "cannot be reached"),
    ],
)
async def test_what_is_wrong_at_the_start_is_said_in_one_line_without_the_password(
    bench: MariadbBench, server: MariadbServer, changed: dict[str, Any], told: str
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


@pytest.mark.parametrize("location", ["mysql://localhost", "mysql://a:b/c@host/x", "mariadb://a:b@one,two/x"])
def test_an_address_that_cannot_be_one_is_refused_before_anything_is_asked(location: str) -> None:
    """A database is missing, a slash stands in the password, or there is more than one host."""
    with pytest.raises(ValueError, match=r"must be like mysql://user:password@host:3306/database; write @ : /"):
        check_server(location)


def test_what_an_address_says_is_what_the_driver_is_told() -> None:
    """Percent signs are read, MariaDB's name means the same, and TLS is as strict as it says."""
    told = arguments("mariadb://us%40er:p%2Fw%20%C3%A4@db.internal/auth")
    assert told == {
        "user": "us@er",
        "password": "p/w ä".encode(),
        "host": "db.internal",
        "port": 3306,
        "database": "auth",
        "ssl": None,
    }
    assert arguments("mysql://u@localhost/x?unix_socket=/run/s")["unix_socket"] == "/run/s"
    checks = {
        mode: arguments(f"mysql://u@h:1/x?ssl_mode={mode}")["ssl"]
        for mode in ("required", "verify_ca", "VERIFY_IDENTITY")
    }
    assert [(int(one.verify_mode), one.check_hostname) for one in checks.values()] == [
        (0, False),
        (2, False),
        (2, True),
    ]
    with pytest.raises(AddressError, match="cannot be read"):
        arguments("mysql://u:p@host:port/x")


@pytest.fixture(scope="module")
def replicated() -> Iterator[MariadbServer]:
    """A server with a binary log, and with TLS."""
    with running_mariadb(**{"log-bin": "binlog", "binlog-format": "STATEMENT"}) as running:
        certificates = made_for("127.0.0.1", running.folder / "tls")
        owner = (running.folder / "data").stat()
        os.chown(certificates.key, owner.st_uid, owner.st_gid)
        running.stop()
        running.start(
            f"--ssl-ca={certificates.authority}", f"--ssl-cert={certificates.server}", f"--ssl-key={certificates.key}"
        )
        yield running


async def test_a_server_whose_settings_lose_data_is_warned_of(
    bench: MariadbBench, replicated: MariadbServer, clock: MovingClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A log that is not flushed at each commit, where there is one."""
    await bench.open().start()
    assert "innodb_flush_log_at_trx_commit is 2: a crash loses" in caplog.text
    assert "sync_binlog" not in caplog.text
    caplog.clear()
    admin = await connect(replicated.admin_url, prefix="")
    await admin.run("SET GLOBAL binlog_format = ROW; SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    store = _at(replicated.url(), may_create=True)
    await store.start()
    assert "sync_binlog is 0: after a crash the binary log" in caplog.text
    assert "innodb_flush_log_at_trx_commit" not in caplog.text
    token = await signed_in(store, clock)
    assert (await refresh(store, token)).outcome is Outcome.REISSUE
    await store.stop()
    admin.terminate()


async def test_a_server_that_cannot_do_is_refused(replicated: MariadbServer) -> None:
    """A binary log by statements would fail at every refresh, a small packet at a full batch."""
    admin = await connect(replicated.admin_url, prefix="")
    try:
        await admin.run("SET GLOBAL binlog_format = STATEMENT")
        with pytest.raises(ConfigurationError, match="binlog_format is STATEMENT"):
            await _at(replicated.url(), may_create=True).start()
        await admin.run("SET GLOBAL binlog_format = MIXED; SET GLOBAL max_allowed_packet = 1048576")
        with pytest.raises(ConfigurationError, match="max_allowed_packet is 1048576; set it to 4M or more"):
            await _at(replicated.url(), may_create=True).start()
    finally:
        await admin.run("SET GLOBAL max_allowed_packet = 16777216")
        admin.terminate()


async def test_tls_is_as_strict_as_the_address_says(
    server: MariadbServer, replicated: MariadbServer, tmp_path: Path
) -> None:
    """With a CA the server's certificate and name are checked; without TLS on its side nothing is sent in the clear."""
    authority, others = replicated.folder / "tls" / "authority.pem", made_for("127.0.0.1", tmp_path / "others")
    for parameters, is_good in (
        (f"ssl_ca={authority}", True),
        (f"ssl_mode=verify_ca&ssl_ca={authority}", True),
        ("ssl_mode=required", True),
        (f"ssl_ca={others.authority}", False),
        ("ssl_mode=verify_identity", False),
    ):
        url = replicated.url(f"evertoken?{parameters}")
        if is_good:
            one = await connect(url, prefix="")
            cipher = await one.fetchrow("SHOW STATUS LIKE 'Ssl_cipher'")
            assert cipher is not None
            assert cipher[1]
            one.terminate()
        else:
            with pytest.raises(ConfigurationError, match=r"cannot be reached.*certificate verify failed"):
                await _at(url).start()
        with pytest.raises(ConfigurationError, match="cannot be reached"):
            await _at(server.url(f"evertoken?{parameters}")).start()


@pytest.mark.parametrize(
    ("version", "told"),
    [("5.5.5-10.5.29-MariaDB", "10.6 is the oldest"), ("8.0.16", "8.0.17 is the oldest"), ("8.4.7", None)],
)
async def test_a_server_that_is_too_old_is_refused(
    bench: MariadbBench, monkeypatch: pytest.MonkeyPatch, version: str, told: str | None
) -> None:
    """MariaDB and MySQL each have a version below which something is missing that is needed here."""
    is_mariadb = "Maria" in version

    settings = {
        "version": version.removeprefix("5.5.5-"),
        "read_only": "OFF",
        "log_bin": "ON",
        "sync_binlog": "1",
        "innodb_flush_log_at_trx_commit": "1",
        "max_allowed_packet": str(2**26),
    }

    async def fetch(*_: object) -> list[tuple[str, str]]:
        return list(settings.items())

    async with bench.connection() as one:
        monkeypatch.setattr(Connection, "is_mariadb", is_mariadb)
        monkeypatch.setattr(Connection, "fetch", fetch)
        if told is None:
            await schema._check_server(one, "there")
        else:
            with pytest.raises(ConfigurationError, match=f"is too old; {told} that will do"):
                await schema._check_server(one, "there")


async def test_tables_of_a_newer_evertoken_are_refused(bench: MariadbBench, server: MariadbServer) -> None:
    """A server that was set back finds tables that it does not know, and leaves them alone."""
    async with bench.connection() as own:
        await own.run("UPDATE [schema_version] SET version_num = '9999'")
        try:
            with pytest.raises(ConfigurationError, match="was written by a newer evertoken"):
                await _at(server.url()).start()
        finally:
            await own.run("UPDATE [schema_version] SET version_num = '0001'")


def test_the_versions_that_are_known_are_those_of_the_history() -> None:
    """Alembic is imported only where there is a step to take; what is known without it is what it would say."""
    history = ScriptDirectory(str(resources.files(migrations)))
    assert tuple(step.revision for step in history.walk_revisions())[::-1] == schema.VERSIONS
    assert any("[sessions]" in one for one in schema.script(None, "", is_mariadb=True))
    assert not any("CREATE TABLE" in one for one in schema.script(schema.VERSIONS[-1], "", is_mariadb=True))
    # Nothing in a step may fail or do harm where it has been done before.
    repeatable = (
        "CREATE TABLE IF NOT EXISTS",
        "INSERT IGNORE",
        "INSERT INTO p_schema_version",
        "UPDATE p_schema_version",
    )
    for statement in schema.script(None, "p_", is_mariadb=False):
        assert statement.startswith(repeatable), statement
    assert "utf8mb4_0900_bin" in schema.script(None, "", is_mariadb=False)[1]


async def test_a_step_that_died_half_way_is_taken_again(server: MariadbServer, clock: MovingClock) -> None:
    """Wherever the first start was killed, the next one finishes it."""
    steps = schema.script(None, "died_", is_mariadb=True)
    own = await connect(server.url(), prefix="died_")
    try:
        for done in (1, 6, len(steps) - 1):
            for step in steps[:done]:
                await own.run(step)
            await _at(server.url(), may_create=True, table_prefix="died_").start()
            assert await own.fetchval("SELECT version_num FROM [schema_version]") == schema.VERSIONS[-1]
            assert await own.fetchval("SELECT COUNT(*) FROM [locks]") == 1280
            ours = [name for name in await _tables(own) if name.startswith("died_")]
            await own.run(Sql("DROP TABLE " + ",".join(ours)))
    finally:
        own.terminate()


async def test_tables_of_another_program_are_left_alone(server: MariadbServer, clock: MovingClock) -> None:
    """In the application's own database a prefix keeps ours apart; without one, nothing is made beside its `users`."""
    own = await connect(server.url("other"), prefix="")
    try:
        await own.run("CREATE TABLE users (id int); INSERT INTO users VALUES (7)")
        with pytest.raises(ConfigurationError, match=r"tables of another program by the name of ours \(users\)"):
            await _at(server.url("other"), may_create=True).start()
        assert await _tables(own) == {"users"}
        store = MysqlStore(
            server.url("other"), policy=POLICY, access_lifetime_ms=1, table_prefix="shop_auth_", clock=clock
        )
        await store.start()
        token = await signed_in(store, clock)
        assert (await refresh(store, token)).outcome is Outcome.REISSUE
        assert (await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)).session_ids
        assert await store.sweep() is None
        await store.stop()
        assert {name for name in await _tables(own) if not name.startswith("shop_auth_")} == {"users"}
        assert await own.fetch("SELECT * FROM users") == [(7,)]
    finally:
        await own.run(Sql("DROP TABLE " + ",".join(await _tables(own))))
        own.terminate()


async def test_a_user_of_few_rights_is_told_what_is_missing_and_serves_without_making_tables(
    bench: MariadbBench, server: MariadbServer
) -> None:
    """Who may only read and write rows is content with tables that were made before."""
    admin = await connect(server.admin_url, prefix="")
    await admin.run(
        "CREATE USER few@127.0.0.1 IDENTIFIED BY 'of-few-rights';"
        " GRANT SELECT, INSERT, UPDATE, DELETE ON evertoken.* TO few@127.0.0.1;"
        " GRANT SELECT, INSERT, UPDATE, DELETE ON other.* TO few@127.0.0.1"
    )
    admin.terminate()
    few = server.url(password="of-few-rights").replace("evertoken:", "few:")
    with pytest.raises(ConfigurationError, match=r"denied.*; the user needs SELECT, INSERT, UPDATE, DELETE"):
        await _at(few.replace("/evertoken", "/other"), may_create=True).start()
    store = bench.open(url=few)
    await store.start()
    token = await signed_in(store, bench.clock)
    assert (await refresh(store, token)).outcome is Outcome.REISSUE
    assert (await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)).session_ids
    assert await store.sweep() is None


async def test_many_servers_that_start_at_once_make_the_tables_once(server: MariadbServer) -> None:
    """The first one makes the tables, the others wait for it."""
    async with asyncio.timeout(SOON_SECONDS):
        stores = [_at(server.url(), may_create=True, table_prefix="together_") for _ in range(6)]
        await asyncio.gather(*(store.start() for store in stores))
        assert await stores[0].count_users() == (0, 0)
        for store in stores:
            await store.stop()


async def test_a_socket_leads_to_the_same_database(server: MariadbServer) -> None:
    """A server of this machine is reached without a port."""
    admin = await connect(server.admin_url, prefix="")
    await admin.run(
        f"CREATE USER evertoken@localhost IDENTIFIED BY '{PASSWORD_ITSELF}';"
        " GRANT ALL ON evertoken.* TO evertoken@localhost"
    )
    admin.terminate()
    store = _at(server.url(f"evertoken?unix_socket={server.socket}"), may_create=True)
    await store.start()
    await store.ping()
    await store.stop()
