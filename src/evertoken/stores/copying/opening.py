"""Which engine a location means, for reading and writing it as a whole."""

from pathlib import Path

from evertoken.clock import Clock, system_clock
from evertoken.errors import ConfigurationError
from evertoken.store_address import is_mysql, is_postgresql, is_redis, shown
from evertoken.stores.copying.place import CopyRefused, Place
from evertoken.stores.copying.sqlite import SqlitePlace


async def open_place(location: str, *, table_prefix: str = "", clock: Clock = system_clock, writes: bool) -> Place:
    """
    A store as a whole. It is not made, and its tables are not changed.

    Args:
        table_prefix: As of `stores.opening.open_store`.
        clock: As of `stores.opening.open_store`.
        writes: Whether rows may be written.

    Raises:
        ConfigurationError: it cannot be reached, or is of an engine that is not installed.
        CopyRefused: there is no such file.
    """
    told_clock = None if clock is system_clock else clock
    name = table_prefix.rstrip("_") or "evertoken"
    try:
        if is_redis(location):
            from evertoken.stores.copying.redis import RedisPlace  # noqa: PLC0415 - an extra

            return await RedisPlace(location, key_prefix=name, clock=told_clock).open()
        if is_postgresql(location):
            from evertoken.stores.copying.postgresql import PostgresPlace  # noqa: PLC0415 - an extra

            return await PostgresPlace.open(location, schema=name, clock=told_clock)
        if is_mysql(location):
            from evertoken.stores.copying.mysql import MysqlPlace  # noqa: PLC0415 - an extra

            return await MysqlPlace.open(location, prefix=table_prefix, clock=told_clock)
    except ModuleNotFoundError as error:
        raise ConfigurationError("store", f"{shown(location)} needs the package {error.name}") from error
    return SqlitePlace(Path(location), prefix=table_prefix, clock=clock, writes=writes)


async def open_current(location: str, *, table_prefix: str = "", clock: Clock = system_clock, writes: bool) -> Place:
    """
    The same, of this version.

    Raises:
        CopyRefused: it holds nothing of ours, or another version of it.
    """
    place = await open_place(location, table_prefix=table_prefix, clock=clock, writes=writes)
    version = await place.version()
    if version.found == version.newest:
        return place
    await place.close()
    if version.found is None:
        raise CopyRefused(f"{shown(location)} holds nothing of evertoken; is it the right one, and its table_prefix?")
    raise CopyRefused(
        f"{shown(location)} is of version {version.found}, this evertoken of {version.newest}; bring the older one"
        " forward: evertoken store migrate"
    )
