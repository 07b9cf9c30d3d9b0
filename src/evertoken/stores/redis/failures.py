"""What goes wrong between us and Redis, as the rest of evertoken is told of it."""

import ssl
from typing import Final

from redis import exceptions

from evertoken.errors import ConfigurationError, StoreUnavailable

FAILURES: Final = (exceptions.RedisError, OSError, EOFError)
"""Everything that the driver raises about a command or a connection. TimeoutError is an OSError."""

_SERVER_SAYS: Final = {
    "OOM": "it is full: raise its maxmemory, or free some",
    "MISCONF": "it cannot write to its disk, see its log",
    "READONLY": "it is a read-only replica",
    "LOADING": "it is reading its data from the disk",
    "CLUSTERDOWN": "a part of its slots has no server",
    "NOREPLICAS": "too few of its replicas are there",
    "NOPERM": "this user lacks rights: it needs our keys, and the commands of docs/stores/redis.md",
    "NOAUTH": "it wants a password",
    "WRONGPASS": "it refuses this user or password",
}


def unavailable(error: BaseException) -> StoreUnavailable:
    """What a caller is told: 503, nobody is signed out. The message goes to the log."""
    return StoreUnavailable(f"Redis: {_words(error)}")


def refused_at_start(error: BaseException, where: str) -> ConfigurationError:
    """What is wrong, in one line that says what to mend and never shows the password."""
    if isinstance(error, exceptions.AuthenticationError):
        what = "the server refuses this user or password; correct them"
    elif _distrust(error):
        what = f"{_words(error)}; name the authority behind it by ?ssl_ca_certs=FILE, and the server as it calls itself"
    elif isinstance(error, exceptions.ConnectionError | OSError) and not _code(error):
        what = f"{_words(error)}; correct the address, or see whether it runs"
    else:
        what = _words(error)
    return ConfigurationError("store", f"{where}: {what}")


def _words(error: BaseException) -> str:
    """What happened, without what the driver or the server quotes: arguments of commands, and addresses of clients."""
    code = _code(error)
    if code:
        return _SERVER_SAYS[code]
    if isinstance(error, TimeoutError | exceptions.TimeoutError):
        return "it did not answer in time"
    if isinstance(error, exceptions.AuthenticationError):
        return _SERVER_SAYS["WRONGPASS"]
    if isinstance(error, exceptions.ConnectionError | OSError):
        distrust = _distrust(error)
        return f"its certificate is not accepted ({distrust})" if distrust else "it cannot be reached"
    return f"it fails ({type(error).__name__}: {str(error).partition(' ')[0][:40]})"


def _distrust(error: BaseException) -> str:
    """Why TLS does not trust the server; empty where that is not what went wrong. The driver hides it in the cause."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        cause = cause.__cause__ or cause.__context__
    return ""


def _code(error: BaseException) -> str:
    kinds = {
        exceptions.OutOfMemoryError: "OOM",
        exceptions.ReadOnlyError: "READONLY",
        exceptions.BusyLoadingError: "LOADING",
        exceptions.ClusterDownError: "CLUSTERDOWN",
        exceptions.NoPermissionError: "NOPERM",
    }
    for kind, code in kinds.items():
        if isinstance(error, kind):
            return code
    first = str(error).partition(" ")[0].lstrip("-").rstrip(":")
    return first if isinstance(error, exceptions.ResponseError) and first in _SERVER_SAYS else ""
