"""
Keeps people signed in without their noticing.

The names here are the client's: `from evertoken import Session, FileStore`. They are loaded when asked for, so that
the server does not load the client.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evertoken.client import FileStore, KeyringStore, MemoryStore, RedisStore, Session
    from evertoken.errors import NotReplayable, RefreshUnavailable, SignedOut

__all__ = [
    "FileStore",
    "KeyringStore",
    "MemoryStore",
    "NotReplayable",
    "RedisStore",
    "RefreshUnavailable",
    "Session",
    "SignedOut",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from evertoken import client, errors  # noqa: PLC0415

    return getattr(client if hasattr(client, name) else errors, name)
