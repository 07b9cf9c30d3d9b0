"""One client: how it is made from an address, for one server, for a Cluster, or for what Sentinel names."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from evertoken.errors import ConfigurationError
from evertoken.secret import Secret

CONNECT_WITHIN_SECONDS: Final = 3.0

CONNECTIONS: Final = 8
"""What one process opens at most, to one server."""

_PROTOCOL: Final = 2
"""With 3 the driver expects news of maintenance, and so uses connections that the server has closed."""

_SCHEMES: Final = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
}
_SENTINEL: Final = "redis+sentinel"
_SENTINEL_PORT: Final = 26_379


@dataclass(frozen=True)
class Address:
    """
    Where Redis is.

    Args:
        location: redis://user:password@host:port/0, rediss:// for TLS, valkey:// and valkeys:// for the same; or
            redis+sentinel://user:password@host:port,host:port/name/0, where the name is that of the master.

    Raises:
        ConfigurationError: it is none of these; the message never holds the text.
    """

    location: Secret

    def __post_init__(self) -> None:
        scheme, parts = self._parts()
        if parts is None or (scheme != _SENTINEL and scheme not in _SCHEMES) or not parts.netloc.rpartition("@")[2]:
            raise ConfigurationError(
                "store",
                "must be like redis://user:password@host:6379/0; write @ : / ? # in a password as %40 %3A %2F %3F %23",
            )

    def _parts(self) -> tuple[str, Any]:
        try:
            parts = urlsplit(self.location.reveal())
            _ = parts.port if "," not in parts.netloc else None
        except ValueError:
            return "", None
        return parts.scheme, parts

    def __str__(self) -> str:
        """Fit for messages: without password and parameters."""
        scheme, parts = self._parts()
        user, at, hosts = parts.netloc.rpartition("@")
        name, colon, _ = user.partition(":")
        return f"{scheme}://{name}{':***' if colon else ''}{at}{hosts}{parts.path}"

    def client(self, *, cluster: bool) -> Any:
        """
        A client that has sent nothing yet.

        Raises:
            ConfigurationError: a part of the address cannot be read.
        """
        scheme, parts = self._parts()
        try:
            client = self._made(scheme, parts, cluster=cluster)
        except ConfigurationError:
            raise
        except Exception:  # noqa: BLE001 - whatever the driver says may hold a part of the password
            client = None
        if client is None:
            raise ConfigurationError("store", f"{scheme}://...: the address, or one of its parameters, cannot be read")
        return client

    def _made(self, scheme: str, parts: Any, *, cluster: bool) -> Any:
        if scheme == _SENTINEL:
            return _through_sentinel(parts)
        url = self.location.reveal().replace(scheme, _SCHEMES[scheme], 1)
        if cluster:
            return RedisCluster.from_url(
                url, max_connections=CONNECTIONS, socket_connect_timeout=CONNECT_WITHIN_SECONDS, protocol=_PROTOCOL
            )
        pool = ConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS + 2,
            socket_connect_timeout=CONNECT_WITHIN_SECONDS,
            socket_keepalive=True,
            retry=_never(),
            protocol=_PROTOCOL,
        )
        pool.connection_class(**pool.connection_kwargs)  # raises for a parameter that it does not know
        return Redis.from_pool(pool)


def _never() -> Retry:
    """No command is sent twice behind our back: the second answer would tell of what the first has done."""
    return Retry(NoBackoff(), 0)


def _through_sentinel(parts: Any) -> Any:
    user, _, hosts = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    sentinels = []
    for one in hosts.split(","):
        host, _, port = one.rpartition(":") if ":" in one else (one, "", _SENTINEL_PORT)
        sentinels.append((host, int(port)))
    master, _, database = parts.path.strip("/").partition("/")
    if not master:
        raise ConfigurationError(
            "store", "redis+sentinel://...: the name of the master is missing, as in host:26379/name"
        )
    given = dict(parse_qsl(parts.query))
    usual = {
        "socket_connect_timeout": CONNECT_WITHIN_SECONDS,
        "socket_keepalive": True,
        "retry": _never(),
        "protocol": _PROTOCOL,
    }
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        sentinels,
        sentinel_kwargs={**usual, "password": given.get("sentinel_password")},
        **usual,
        db=int(database or 0),
        username=unquote(name) or None,
        password=unquote(password) or None,
        max_connections=CONNECTIONS + 2,
    )
    return sentinel.master_for(master)
