"""
Our tables: whether they are there, and in which version; brought forward by Alembic's history of them.

Alembic writes the steps down as a script, which is run on a connection of ours in one transaction; so nothing but the
driver that serves talks to the database. It is imported only where there is a step to take.
"""

import io
import logging
from importlib import resources

from evertoken.errors import ConfigurationError
from evertoken.store_address import shown
from evertoken.stores.postgresql.connection import Connection, connect, quoted
from evertoken.stores.postgresql.failures import FAILURES, refused_at_start
from evertoken.stores.postgresql.locks import Lock, take

_log = logging.getLogger(__name__)

VERSIONS = ("0001",)
"""Every version there has been, the newest last; as in `migrations/versions`."""

VERSION_TABLE = "schema_version"
OLDEST_SERVER = 130_000
_LOCK_WITHIN = "5s"


async def prepare(location: str, *, schema: str, may_create: bool) -> None:
    """
    See that the database can be used, and bring its tables to this version.

    Args:
        schema: Where our tables are, or shall be.
        may_create: False where they must be there already.

    Raises:
        ConfigurationError: it cannot; one line says why, and what to do.
    """
    try:
        connection = await connect(location, schema=schema)
    except (*FAILURES, ValueError, OverflowError) as error:
        raise refused_at_start(error, location) from _without_values(error)
    try:
        await _check_server(connection, location)
        version = await _version(connection, location, schema)
        if version is None and not may_create:
            raise ConfigurationError(
                "store",
                f"{shown(location)} has no tables of evertoken in its schema {schema}; correct the address, or"
                " let `evertoken serve` make them",
            )
        if version != VERSIONS[-1]:
            await _migrate(connection, location, schema)
        await connection.close()
    except FAILURES as error:
        raise refused_at_start(error, location) from _without_values(error)
    finally:
        connection.terminate()


async def _check_server(connection: Connection, location: str) -> None:
    row = await connection.fetchrow(
        "SELECT current_setting('server_version_num')::integer, current_setting('server_version'),"
        " current_setting('server_encoding'), current_setting('transaction_read_only')"
    )
    assert row is not None
    number, name, encoding, read_only = row
    where = shown(location)
    if number < OLDEST_SERVER:
        raise ConfigurationError("store", f"{where}: PostgreSQL {name} is too old; 13 is the oldest that will do")
    if encoding != "UTF8":
        raise ConfigurationError("store", f"{where}: the database's encoding is {encoding}; make one with UTF8")
    if read_only == "on":
        raise ConfigurationError("store", f"{where}: the database is read-only; name the primary, not a standby")


async def _version(connection: Connection, location: str, schema: str) -> str | None:
    """The version of the tables; None where there are none."""
    rows = await connection.fetch("SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = $1", schema)
    tables = {row[0] for row in rows}
    if not tables:
        return None
    if VERSION_TABLE not in tables:
        raise ConfigurationError(
            "store", f"{shown(location)}: the schema {schema} holds tables of another program; see table_prefix"
        )
    version: str | None = await connection.fetchval(f"SELECT version_num FROM {quoted(schema)}.{quoted(VERSION_TABLE)}")
    if version is not None and version not in VERSIONS:
        raise ConfigurationError(
            "store",
            f"{shown(location)} was written by a newer evertoken (schema {version}, this one knows {VERSIONS[-1]})",
        )
    return version


async def _migrate(connection: Connection, location: str, schema: str) -> None:
    """Take the steps that are left, while others serve; of machines that start at once, one takes them."""
    async with connection.transaction():
        await take(connection, Lock.MIGRATION, schema.encode())
        version = await _version(connection, location, schema)
        if version == VERSIONS[-1]:
            return
        _log.info("bringing the tables from version %s to %s", version or "none", VERSIONS[-1])
        # Steps wait for a table no longer than this, or all who come after them would wait too.
        # On a busy machine the script is long in writing, and the transaction waits for it.
        await connection.execute(
            f"SET LOCAL lock_timeout = '{_LOCK_WITHIN}'; SET LOCAL statement_timeout = 0;"
            " SET LOCAL idle_in_transaction_session_timeout = '60s'"
        )
        # Not by IF NOT EXISTS: that asks for the right to make one even where there is one.
        if await connection.fetchval("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", schema) is None:
            await connection.execute(f"CREATE SCHEMA {quoted(schema)}")
        await connection.execute(script(version))


def script(version: str | None) -> str:
    """The statements that lead from a version, or from nothing, to the newest."""
    from alembic.config import Config  # noqa: PLC0415 - and SQLAlchemy with it: a third of a second
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    history = ScriptDirectory(str(resources.files("evertoken.stores.postgresql").joinpath("migrations")))
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
            dialect_name="postgresql", output_buffer=written, version_table=VERSION_TABLE, literal_binds=True
        )
        environment.run_migrations()
    return written.getvalue()


def _without_values(error: BaseException) -> BaseException | None:
    """What went wrong, for a traceback; but of a malformed address nothing, for it may hold the password."""
    return error if isinstance(error, FAILURES) else None
