"""The client of redis-py behind a `RedisStore`: the application's, or one made from a URL, anew in a forked child."""

import contextlib
from typing import Any, Protocol

from evertoken.errors import ConfigurationError
from evertoken.secret import Secret

SOCKET_TIMEOUT_SECONDS = 3.0
"""How long a client made from a URL waits for Redis, to connect and for each answer; the URL may say otherwise."""


class RedisClient(Protocol):
    """What is asked of a synchronous client: `redis.Redis`, `redis.RedisCluster`, or one of Sentinel's."""

    def get(self, name: str, /) -> Any:
        """The value of a key: bytes, text, or None."""
        ...

    def eval(self, script: str, numkeys: int, /, *keys_and_args: str | bytes) -> Any:
        """What a Lua script returns."""
        ...


class Clients:
    """Gives the client to use in this process."""

    def __init__(self, client_or_url: RedisClient | str) -> None:
        """
        Take the client, or make one; nothing is sent.

        Raises:
            ConfigurationError: It is a client for event loops, or a URL that redis-py does not understand.
        """
        self._url: Secret | None = None
        self._inherited: RedisClient | None = None
        self._client: RedisClient | None
        if isinstance(client_or_url, str):
            self._url = Secret(client_or_url)
            self._client = _made(self._url)
            return
        if ".asyncio" in type(client_or_url).__module__:
            raise ConfigurationError("client_or_url", "give a synchronous client, redis.Redis, or the URL")
        self._client = client_or_url

    def current(self) -> RedisClient:
        """The client of this process."""
        client = self._client
        if client is None:
            assert self._url is not None
            client = self._client = _made(self._url)
        return client

    def forget(self) -> None:
        """
        Have a client of its own made in this forked child, if we made the one that it inherited.

        A thread of the parent may have been inside redis-py at the fork: its pool's locks are never released here.
        """
        if self._url is not None and self._client is not None:
            self._inherited = self._client  # kept, so that nothing of it is torn down in the middle of a fork
            self._client = None

    def address(self) -> str:
        """Where Redis is, for errors: host and port, or path; nothing if the client does not say."""
        given = getattr(getattr(self._client, "connection_pool", None), "connection_kwargs", {})
        if "path" in given:
            return f" at {given['path']}"
        return f" at {given['host']}:{given.get('port', 6379)}" if "host" in given else ""


def redis_errors() -> Any:
    """
    The module of redis-py's errors.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import redis.exceptions  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError("redis", "the library is missing: pip install 'evertoken[redis]'") from error
    return redis.exceptions


def _made(url: Secret) -> RedisClient:
    from redis import ConnectionPool, Redis  # noqa: PLC0415 - an extra
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    with contextlib.suppress(ValueError):  # its text may hold a part of the password, so it goes nowhere
        pool = ConnectionPool.from_url(
            url.reveal(),
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        # Not Redis.from_url: its client locks the pool once more when it is collected, in a forked child for ever.
        return Redis(connection_pool=pool)
    raise ConfigurationError(
        "client_or_url",
        "not a URL that redis-py understands: redis://user:password@host:6379/0, rediss:// or unix://; "
        "percent-encode special characters of the password",
    )
