"""One connection: how it is opened, and what is set on it."""

from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

CONNECT_WITHIN_SECONDS = 4.0

STATEMENT_TIMEOUT_MS = 7_000
"""The server gives up on a statement before our caller does, so that nothing is committed behind a caller's back."""

_SETTINGS = {
    "application_name": "evertoken",
    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
    # A machine that freezes in the middle of a transaction does not hold its rows against the others for ever.
    "idle_in_transaction_session_timeout": str(STATEMENT_TIMEOUT_MS),
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "default_transaction_isolation": "read committed",
    "client_min_messages": "warning",
    # Every statement of ours is meant to go by an index. A plan that was made while a table was empty would walk it
    # whole, and go on so while the table grows; and planning costs more than most of our statements.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}

# "on" waits for the disk, and for the standby where there is a synchronous one; a stronger promise is left alone.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')"
)


async def connect(location: str, *, schema: str, lock_timeout_ms: int | None = None) -> Connection:
    """
    Open a connection that is ready for our statements.

    Args:
        schema: Where our tables are.
        lock_timeout_ms: How long a statement waits for a row that another transaction is writing; None: as long as it
            may take at all.

    Raises:
        Exception: one of `failures.FAILURES`.
    """
    connection: Connection = await asyncpg.connect(
        location,
        timeout=CONNECT_WITHIN_SECONDS,
        statement_cache_size=256,
        max_cached_statement_lifetime=0,  # for as long as the connection lives
    )
    settings = {**_SETTINGS, "search_path": quoted(schema), "lock_timeout": str(lock_timeout_ms or 0)}
    try:
        # Not among the parameters at the start of the connection, which poolers such as PgBouncer refuse.
        await connection.fetch(
            "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS setting(name, value)",
            list(settings),
            list(settings.values()),
        )
        await connection.fetch(_DURABLE)
    except BaseException:
        connection.terminate()
        raise
    return connection


def quoted(name: str) -> str:
    """An identifier as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'


def affected(status: str) -> int:
    """How many rows a statement changed, from what the server says of it ("UPDATE 3")."""
    return int(status.rpartition(" ")[2])


def storable(text: str) -> str:
    """A text as PostgreSQL can keep it: without NUL, and without halves of surrogate pairs."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text


def storable_or_none(text: str | None) -> str | None:
    """The same, of a text that may be missing."""
    return None if text is None else storable(text)


Row = Any
"""A row of an answer; read by position, as the statement above it lists its columns."""
