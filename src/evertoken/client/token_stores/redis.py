"""Tokens in Redis: for programs on several machines that share one session."""

import contextlib
import math
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from evertoken.client.token_stores.document import decoded, encoded
from evertoken.client.token_stores.polled_lock import PolledLock
from evertoken.client.token_stores.protocol import Lease
from evertoken.client.token_stores.redis_client import Clients, RedisClient, redis_errors
from evertoken.clock import monotonic_seconds
from evertoken.errors import ConfigurationError, TokenStoreRefused, TokenStoreUnavailable

_REMEDY = "delete the key and sign in anew"

# ARGV: "1" and the expected document, or "0" and "" for none; the same for the new one.
_SWAP = """
local found = redis.call('GET', KEYS[1])
if ARGV[1] == '1' then
  if found ~= ARGV[2] then return 0 end
elseif found then
  return 0
end
if ARGV[3] == '1' then redis.call('SET', KEYS[1], ARGV[4]) else redis.call('DEL', KEYS[1]) end
return 1
"""

# Written over itself, which asks for the very rights and room that the swap will need.
_PREPARE = """
local found = redis.call('GET', KEYS[1])
if found then redis.call('SET', KEYS[1], found, 'KEEPTTL') end
return 1
"""

# A client that repeats a request whose answer was lost finds its own token here, and has the lease.
_TAKE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
return 0
"""

_LET_GO = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class RedisStore:
    """
    Keeps the document under one key, for all processes that reach one Redis (6 or later).

    Unlike a kernel lock, its lease runs out: a holder that was killed frees it by the end of `lease_seconds`, and one
    that was suspended for longer has lost it, which `seconds_left()` tells. A swap compares, so it loses nothing.

    As durable as that Redis is: without `appendfsync always`, or after a failover, the last swap may be gone, and with
    an eviction policy other than `noeviction` or `volatile-*` the document may. It cannot be pickled.
    """

    def __init__(
        self, client_or_url: RedisClient | str, *, key: str = "evertoken:session", lease_seconds: float = 30
    ) -> None:
        """
        Name the Redis; it is not asked yet.

        Args:
            client_or_url: A synchronous client of redis-py, or `redis://`, `rediss://` or `unix://`. A client should
                have socket timeouts, and no retries: a swap that it repeats may say False for what it did itself. A
                process that forks while its threads refresh should give the URL: a child has a client of its own
                then, while one that was handed over may wait there for a lock of redis-py that its parent held.
            key: Of the document. The lease is beside it, in the same hash slot of a Redis Cluster: `{key}:lease`, or
                `key:lease` if the key has a hash tag of its own.
            lease_seconds: How long a lease lasts at most, 1 to 3600. Longer than the longest refresh.

        Raises:
            ConfigurationError: One of these is not so, or redis-py is missing.
        """
        if not 1 <= lease_seconds <= 3600:  # noqa: PLR2004 - as documented
            raise ConfigurationError("lease_seconds", f"{lease_seconds} is not between 1 and 3600 seconds")
        self._errors = redis_errors()
        self._clients = Clients(client_or_url)
        self._key = key
        self._where = f"Redis{self._clients.address()}, key {key!r}"
        self._lease = _RedisLease(self, _lease_key(key), lease_seconds)

    def __repr__(self) -> str:
        return f"RedisStore(key={self._key!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a RedisStore cannot be pickled or copied: make one from the URL where it is needed")

    def load(self) -> str | None:
        """
        The document as it is now; None where there is none.

        Raises:
            TokenStoreRefused: The key holds something else, or Redis refuses our name, password or rights.
            TokenStoreUnavailable: Redis cannot be reached, or fails.
        """
        found = self._ask(self._clients.current().get, self._key)
        if found is None:
            return None
        data = found.encode(errors="replace") if isinstance(found, str) else bytes(found)
        return decoded(data, where=self._where, remedy=_REMEDY)

    def swap(self, expected: str | None, document: str | None) -> bool:
        """
        Replace the document if it is still `expected`, in one script; None stands for no document.

        Returns:
            False, with nothing changed, if it is not.

        Raises:
            TokenStoreRefused: As `load`; or `document` is empty, over 64 KiB or not Unicode. Nothing was written.
            TokenStoreUnavailable: Redis is full or read-only, and nothing was written; or it did not answer, and the
                next load will tell whether it was.
        """
        before = b"" if expected is None else encoded(expected, where=self._where)
        after = b"" if document is None else encoded(document, where=self._where)
        given = [b"0" if expected is None else b"1", before, b"0" if document is None else b"1", after]
        return bool(self.run(_SWAP, self._key, *given))

    def prepare(self) -> None:
        """
        Write the document over itself, so that a Redis that is full or read-only shows before a refresh is sent.

        Raises:
            TokenStoreRefused: As `load`.
            TokenStoreUnavailable: Redis is full, read-only, fails or cannot be reached.
        """
        self.run(_PREPARE, self._key)

    def lease(self, *, timeout_seconds: float) -> AbstractContextManager[Lease]:
        """
        Wait for the right to refresh; it lasts until the context ends, and no longer than `lease_seconds`.

        Args:
            timeout_seconds: How long to wait; 0 tries once. A Redis that does not answer may take a socket timeout
                more to notice.

        Raises:
            TokenStoreUnavailable: Another thread or process held it for that long; or Redis cannot be reached, which
                is told at once.
            TokenStoreRefused: As `load`.
        """
        return self._lease.hold(timeout_seconds=timeout_seconds)

    def run(self, script: str, key: str, /, *arguments: str | bytes) -> Any:
        """
        Run one of the scripts above on one key.

        Raises:
            TokenStoreRefused: A person has to mend what Redis objects to.
            TokenStoreUnavailable: It may pass.
        """
        return self._ask(self._clients.current().eval, script, 1, key, *arguments)

    def _ask(self, ask: Callable[..., Any], *arguments: Any) -> Any:
        errors = self._errors
        try:
            return ask(*arguments)
        # The texts of redis-py hold addresses and commands, no password and no value, so its errors may go along.
        except (errors.AuthenticationError, errors.NoPermissionError) as error:
            raise TokenStoreRefused(
                f"{self._where}: Redis refuses our user name, password or rights: correct them, "
                f"and allow this user the key and the commands GET, SET, DEL and EVAL"
            ) from error
        except errors.OutOfMemoryError as error:
            raise TokenStoreUnavailable(f"{self._where}: Redis is full: raise its maxmemory, or free some") from error
        except errors.ReadOnlyError as error:
            raise TokenStoreUnavailable(
                f"{self._where}: this Redis is a read-only replica: name its primary"
            ) from error
        except (
            errors.ConnectionError,
            errors.TimeoutError,
            errors.RedisClusterException,
            errors.ClusterError,
        ) as error:
            raise TokenStoreUnavailable(
                f"{self._where}: Redis cannot be reached ({type(error).__name__}): see that it runs and answers"
            ) from error
        except errors.RedisError as error:
            if "WRONGTYPE" in str(error):
                raise TokenStoreRefused(f"{self._where} holds something else: choose another key") from error
            raise TokenStoreUnavailable(f"{self._where}: Redis fails ({str(error).partition(' ')[0]})") from error
        except UnicodeDecodeError:
            pass  # from a client that decodes; it carries the value, so it must not become the context of our error
        raise TokenStoreRefused(f"{self._where} is damaged: it is not UTF-8; {_REMEDY}")

    def forget(self) -> None:
        """Leave the parent's connections to it; called in a forked child."""
        self._clients.forget()

    @property
    def where(self) -> str:
        """Names this store in errors: address and key."""
        return self._where


class _RedisLease(PolledLock):
    def __init__(self, store: RedisStore, key: str, lease_seconds: float) -> None:
        super().__init__()
        self._store = store
        self._key = key
        self._lease_seconds = lease_seconds
        self._owner: str | None = None

    def _name(self) -> str:
        return f"{self._store.where}: the lease"

    def _take(self) -> float | None:
        if self._owner is None:
            self._owner = secrets.token_hex(16)
        asked_at = monotonic_seconds()  # before Redis starts to count: ours is over first
        milliseconds = math.ceil(self._lease_seconds * 1000)
        if self._store.run(_TAKE, self._key, self._owner, str(milliseconds)):
            return asked_at + self._lease_seconds
        return None

    def _let_go(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            # It runs out by itself, and must not hide how the context ended.
            with contextlib.suppress(TokenStoreUnavailable, TokenStoreRefused):
                self._store.run(_LET_GO, self._key, owner)

    def _forget(self) -> None:
        self._owner = None
        self._store.forget()


def _lease_key(key: str) -> str:
    # https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
    _, opened, rest = key.partition("{")
    tag, closed, _ = rest.partition("}")
    if opened and closed and tag:
        return f"{key}:lease"
    if not key or "}" in key:
        raise ConfigurationError("key", "it must not be empty, nor hold braces other than those of a hash tag")
    return f"{{{key}}}:lease"
