"""
Our tables: whether they are there, and in which version; brought forward by Alembic's history of them.

Alembic writes the steps down as a script, which is run on a connection of ours, so that nothing but the driver that
serves talks to the database. It is imported only where there is a step to take. MySQL commits whatever changes tables
at once: a step that died half-way is begun again, see `migrations`.
"""

import io
import logging
import re
from collections.abc import Sequence
from importlib import resources

from evertoken.errors import ConfigurationError
from evertoken.store_address import shown
from evertoken.stores.mysql.connection import Connection, collation, connect, statement_limit
from evertoken.stores.mysql.failures import FAILURES, refused_at_start

_log = logging.getLogger(__name__)

VERSIONS = ("0001",)
"""Every version there has been, the newest last; as in `migrations/versions`."""

VERSION_TABLE = "schema_version"
_TABLES = (
    *("users", "sessions", "revocations", "revocation_counter", "events", "signing_keys", "clients", "throttle"),
    *("adoptions", "pulse", "locks"),
)
_OLDEST = {True: (10, 6), False: (8, 0, 17)}
"""By whether it is MariaDB: SKIP LOCKED, and a collation that compares bytes."""

_SETTINGS = (
    *("version", "read_only", "log_bin", "binlog_format", "sync_binlog", "innodb_flush_log_at_trx_commit"),
    "max_allowed_packet",
)
_LEAST_PACKET = 4 * 2**20
"""Bytes that the fullest batch may take."""

_MIGRATION_WITHIN_SECONDS = 60
_UNFINISHED = ""
"""The version of tables of which the first step died half-way."""


async def prepare(location: str, *, prefix: str, may_create: bool) -> None:
    """
    See that the database can be used, and bring its tables to this version.

    Args:
        prefix: What the names of our tables begin with, or shall begin with.
        may_create: False where they must be there already.

    Raises:
        ConfigurationError: it cannot; one line says why, and what to do.
    """
    try:
        connection = await connect(location, prefix=prefix)
    except (*FAILURES, ValueError, OverflowError) as error:
        raise refused_at_start(error, location) from _without_values(error)
    try:
        await _check_server(connection, shown(location))
        version = await _version(connection, location)
        if version is None and not may_create:
            named = f" whose names begin with {prefix}" if prefix else ""
            raise ConfigurationError(
                "store",
                f"{shown(location)} has no tables of evertoken{named}; correct the address, or let `evertoken serve`"
                " make them",
            )
        if version != VERSIONS[-1]:
            await _migrate(connection, location)
        await connection.close(timeout=1)
    except FAILURES as error:
        raise refused_at_start(error, location) from _without_values(error)
    finally:
        connection.terminate()


async def _check_server(connection: Connection, where: str) -> None:
    # Not by @@: some of them are not there in every version.
    rows = await connection.fetch("SHOW GLOBAL VARIABLES WHERE variable_name IN $1", _SETTINGS)
    found = {row[0].lower(): row[1] for row in rows}
    name = found["version"]
    version = tuple(int(part) for part in re.findall(r"\d+", name)[:3])
    oldest = _OLDEST[connection.is_mariadb]
    if version < oldest:
        kind, wanted = "MariaDB" if connection.is_mariadb else "MySQL", ".".join(map(str, oldest))
        raise ConfigurationError("store", f"{where}: {kind} {name} is too old; {wanted} is the oldest that will do")
    if found["read_only"] != "OFF":
        raise ConfigurationError("store", f"{where}: the database is read-only; name the primary, not a replica")
    has_binlog = found["log_bin"] == "ON"
    if has_binlog and found.get("binlog_format") == "STATEMENT":
        raise ConfigurationError(
            "store",
            f"{where}: binlog_format is STATEMENT, which cannot replicate READ COMMITTED; set it to ROW or MIXED",
        )
    packet = int(found["max_allowed_packet"])
    if packet < _LEAST_PACKET:
        raise ConfigurationError("store", f"{where}: max_allowed_packet is {packet}; set it to 4M or more")
    flushed, synced = found["innodb_flush_log_at_trx_commit"], found["sync_binlog"]
    if flushed != "1":
        _log.warning(
            "%s: innodb_flush_log_at_trx_commit is %s: a crash loses the sign-ins and sign-outs of about a second;"
            " set it to 1",
            where,
            flushed,
        )
    if has_binlog and synced != "1":
        _log.warning(
            "%s: sync_binlog is %s: after a crash the binary log, and the replicas that follow it, may lack the last"
            " sign-ins and sign-outs; set it to 1",
            where,
            synced,
        )


async def _version(connection: Connection, location: str) -> str | None:
    """The version of the tables; None where there are none, empty where their first step died half-way."""
    names = [connection.prefix + name for name in (VERSION_TABLE, *_TABLES)]
    rows = await connection.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN $1", names
    )
    found = {row[0] for row in rows}
    if not found:
        return None
    if names[0] not in found:
        raise ConfigurationError(
            "store",
            f"{shown(location)} holds tables of another program by the name of ours ({', '.join(sorted(found))});"
            " see table_prefix",
        )
    version: str = await connection.fetchval(f"SELECT version_num FROM [{VERSION_TABLE}]") or _UNFINISHED
    if version and version not in VERSIONS:
        raise ConfigurationError(
            "store",
            f"{shown(location)} was written by a newer evertoken (schema {version}, this one knows {VERSIONS[-1]})",
        )
    return version


async def _migrate(connection: Connection, location: str) -> None:
    """Take the steps that are left, while others serve; of machines that start at once, one takes them."""
    # GET_LOCK, for it must outlive the commits that the steps make; names are the server's, so the database's is in it.
    lock = "CONCAT('evertoken.', LEFT(SHA2(CONCAT(DATABASE(), '/', $1), 256), 40))"
    if not await connection.fetchval(f"SELECT GET_LOCK({lock}, $2)", connection.prefix, 5):
        raise ConfigurationError(
            "store", f"{shown(location)}: another machine is changing the tables; start again soon"
        )
    version = await _version(connection, location)
    if version != VERSIONS[-1]:
        _log.info("bringing the tables from version %s to %s", version or "none", VERSIONS[-1])
        await connection.run(statement_limit(is_mariadb=connection.is_mariadb, seconds=_MIGRATION_WITHIN_SECONDS))
        for statement in script(version or None, connection.prefix, is_mariadb=connection.is_mariadb):
            await connection.run(statement)
    # The lock goes with the connection.


def script(version: str | None, prefix: str, *, is_mariadb: bool) -> Sequence[str]:
    """The statements that lead from a version, or from nothing, to the newest."""
    from alembic.config import Config  # noqa: PLC0415 - and SQLAlchemy with it: a third of a second
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    history = ScriptDirectory(str(resources.files("evertoken.stores.mysql").joinpath("migrations")))
    written = io.StringIO()
    with EnvironmentContext(
        Config(),
        history,
        fn=lambda revision, _: history._upgrade_revs("head", revision),  # noqa: SLF001 - as alembic.command does
        as_sql=True,
        starting_rev=version,
        destination_rev="head",
    ) as environment:
        environment.configure(
            dialect_name="mysql",
            output_buffer=written,
            version_table=prefix + VERSION_TABLE,
            literal_binds=True,
            transactional_ddl=False,
        )
        environment.run_migrations()
    text = re.sub("^--.*\n| +--.*$", "", written.getvalue(), flags=re.MULTILINE)
    text = text.replace(f"CREATE TABLE {prefix}{VERSION_TABLE}", f"CREATE TABLE IF NOT EXISTS {prefix}{VERSION_TABLE}")
    text = re.sub(r"CONSTRAINT \S+ PRIMARY KEY", "PRIMARY KEY", text)  # MySQL does not keep the name, and warns
    text = text.replace("COLLATE=COLLATION", f"COLLATE={collation(is_mariadb=is_mariadb)}")
    return [statement for part in text.split(";\n") if (statement := part.strip())]


def _without_values(error: BaseException) -> BaseException | None:
    """What went wrong, for a traceback; but of a malformed address nothing, for it may hold the password."""
    return error if isinstance(error, FAILURES) else None
