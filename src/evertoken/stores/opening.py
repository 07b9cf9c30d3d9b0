"""Which store a location means: the one place that chooses."""

from pathlib import Path
from typing import TypedDict

from evertoken.clock import Clock, system_clock
from evertoken.errors import ConfigurationError
from evertoken.sessions.rotation import RotationPolicy
from evertoken.store_address import is_mysql, is_postgresql, is_redis, is_server
from evertoken.stores.sqlite.store import SqliteStore
from evertoken.stores.store import Store


class Manner(TypedDict):
    """What every store is told; each says what it means."""

    policy: RotationPolicy
    access_lifetime_ms: int
    sessions_per_user: int
    users_elsewhere: bool
    may_create: bool


def open_store(
    location: str, manner: Manner, *, users_store: str = "", table_prefix: str = "", clock: Clock = system_clock
) -> Store:
    """
    The store at this location, to be started.

    Args:
        location: A path, postgresql://..., mysql://... or redis://...
        users_store: With Redis, where the users are: a path, postgresql://... or mysql://...; none where the
            application has them.
        table_prefix: What sets our tables apart in a database that is the host application's: the beginning of their
            names in SQLite and MariaDB; without its last underscore, the name of their schema in PostgreSQL, and what
            keys in Redis begin with.
        clock: The time. A database server goes by its own clock, unless a test brings another than this machine's.

    Raises:
        ConfigurationError: it cannot be used. What a server has to say is raised by `start`.
    """
    if is_redis(location):
        return _open_redis(location, manner, users_store=users_store, table_prefix=table_prefix, clock=clock)
    if users_store:
        raise ConfigurationError("users_store", "is for Redis: this store keeps its users itself")
    if is_mysql(location):
        return _open_mysql(location, manner, table_prefix=table_prefix, clock=clock)
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


def _open_mysql(location: str, manner: Manner, *, table_prefix: str, clock: Clock) -> Store:
    try:
        from evertoken.stores.mysql.store import MysqlStore  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "store", f"MariaDB and MySQL need the package {error.name}: pip install 'evertoken[server,mysql]'"
        ) from error
    return MysqlStore(location, clock=None if clock is system_clock else clock, table_prefix=table_prefix, **manner)


def _open_redis(location: str, manner: Manner, *, users_store: str, table_prefix: str, clock: Clock) -> Store:
    if bool(users_store) == manner["users_elsewhere"]:
        raise ConfigurationError(
            "users_store",
            "must name a file, postgresql://... or mysql://... for the users, which Redis does not keep; or set"
            " user_directory"
            if not users_store
            else "must not be set: user_directory says where the users are",
        )
    try:
        from evertoken.stores.redis.store import DEFAULT_PREFIX  # noqa: PLC0415 - an extra
        from evertoken.stores.redis.with_users import RedisWithUsers  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError("store", "Redis needs redis-py: pip install 'evertoken[server,redis]'") from error
    return RedisWithUsers(
        location,
        users=open_store(users_store, manner, table_prefix=table_prefix, clock=clock) if users_store else None,
        clock=None if clock is system_clock else clock,
        policy=manner["policy"],
        access_lifetime_ms=manner["access_lifetime_ms"],
        sessions_per_user=manner["sessions_per_user"],
        may_create=manner["may_create"],
        key_prefix=table_prefix.rstrip("_") or DEFAULT_PREFIX,
    )


def may_be_there(location: str) -> bool:
    """False where it is a file that is missing; whether a server has our tables, `start` finds out."""
    return is_server(location) or Path(location).exists()
