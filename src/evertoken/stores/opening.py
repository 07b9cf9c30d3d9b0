"""Which store a location means: the one place that chooses."""

from pathlib import Path
from typing import TypedDict

from evertoken.clock import Clock, system_clock
from evertoken.errors import ConfigurationError
from evertoken.sessions.rotation import RotationPolicy
from evertoken.store_address import is_postgresql, is_server
from evertoken.stores.sqlite.store import SqliteStore
from evertoken.stores.store import Store


class Manner(TypedDict):
    """What every store is told; each says what it means."""

    policy: RotationPolicy
    access_lifetime_ms: int
    sessions_per_user: int
    users_elsewhere: bool
    may_create: bool


def open_store(location: str, manner: Manner, *, table_prefix: str = "", clock: Clock = system_clock) -> Store:
    """
    The store at this location, to be started.

    Args:
        location: A path, or postgresql://...
        table_prefix: What sets our tables apart in a database that is the host application's: the beginning of their
            names in SQLite; in PostgreSQL, without its last underscore, the name of their schema.
        clock: The time. A database server goes by its own clock, unless a test brings another than this machine's.

    Raises:
        ConfigurationError: it cannot be used. What a server has to say is raised by `start`.
    """
    if not is_postgresql(location):
        return SqliteStore(Path(location), clock=clock, table_prefix=table_prefix, **manner)
    try:
        from evertoken.stores.postgresql.store import DEFAULT_SCHEMA, PostgresStore  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "store", f"PostgreSQL needs the package {error.name}: pip install 'evertoken[server,postgresql]'"
        ) from error
    return PostgresStore(
        location,
        clock=None if clock is system_clock else clock,
        schema_name=table_prefix.rstrip("_") or DEFAULT_SCHEMA,
        **manner,
    )


def may_be_there(location: str) -> bool:
    """False where it is a file that is missing; whether a server has our tables, `start` finds out."""
    return is_server(location) or Path(location).exists()
