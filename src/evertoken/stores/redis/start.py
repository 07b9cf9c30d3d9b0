"""Looking at a Redis before it is used: whether it can be, and what may be lost in it."""

import logging
from typing import Any

from redis import exceptions

from evertoken.errors import ConfigurationError
from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.connection import Address
from evertoken.stores.redis.failures import FAILURES, refused_at_start
from evertoken.stores.redis.keys import Keys
from evertoken.stores.redis.scripts import BEAT

_log = logging.getLogger(__name__)

LAYOUT = b"1"
"""The version of our keys and records."""

OLDEST_SERVER = (6, 2)


async def prepare(calls: Calls, address: Address, keys: Keys, *, may_create: bool) -> None:
    """
    See that this Redis can be used; say in the log what it may lose.

    Args:
        may_create: False where our data must be there already.

    Raises:
        ConfigurationError: it cannot; one line says why, and what to do.
    """
    where = str(address)
    try:
        client = await calls.client()
        for node, info in await infos(client):
            await _check(where if node is None else f"{where} ({node})", client, node, info)
        found = await client.get(keys.version)
        if found is None and not may_create:
            raise ConfigurationError(
                "store",
                f"{where} holds nothing of evertoken: is it empty? Restore it or correct the address, or let"
                " `evertoken serve` begin anew, which signs everybody out",
            )
        if found is not None and found != LAYOUT:
            raise ConfigurationError(
                "store", f"{where} was written by a newer evertoken (layout {found[:20]!r}, this one knows {LAYOUT!r})"
            )
        await client.eval(BEAT.source, 1, keys.version, LAYOUT)
    except FAILURES as error:
        raise refused_at_start(error, where) from error


async def infos(client: Any) -> list[tuple[Any, dict[str, Any]]]:
    """What each primary says of itself; no name where there is one server."""
    if not hasattr(client, "get_primaries"):
        return [(None, await client.info())]
    return [(node.name, await client.info(target_nodes=node)) for node in client.get_primaries()]


async def _check(where: str, client: Any, node: Any, info: dict[str, Any]) -> None:
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if version < OLDEST_SERVER:
        raise ConfigurationError("store", f"{where}: Redis {info['redis_version']} is too old; 6.2 is the oldest")
    if info.get("role") not in ("master", None):
        raise ConfigurationError("store", f"{where}: a read-only replica; name its primary, or Sentinel")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        told = f"maxmemory-policy is {policy}: a full Redis would throw sessions away; set it to noeviction"
        if info.get("maxmemory"):
            raise ConfigurationError("store", f"{where}: {told}")
        _log.warning("%s: %s", where, told)
    if not info.get("aof_enabled"):
        _log.warning(
            "%s: appendonly is off: a crash loses sign-ins and sign-outs since the last snapshot;"
            " set appendonly yes and appendfsync always",
            where,
        )
        return
    flushed = await setting(client, node, "appendfsync")
    if flushed is None:
        _log.info("%s: CONFIG GET is not allowed here; see that appendfsync is always", where)
    elif flushed != "always":
        _log.warning(
            "%s: appendfsync is %s: a crash of the machine loses the sign-ins and sign-outs of %s; set it to always",
            where,
            flushed,
            "about a second" if flushed == "everysec" else "half a minute",
        )


async def setting(client: Any, node: Any, name: str) -> str | None:
    """A setting of a server; None where it may not be asked."""
    try:
        if node is None:
            found = await client.config_get(name)
        else:
            found = await client.config_get(name, target_nodes=client.get_node(node_name=node))
    except exceptions.ResponseError:
        return None  # hosted ones forbid it
    values = {_text(key): _text(value) for key, value in found.items()}
    return values.get(name)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
