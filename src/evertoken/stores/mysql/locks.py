"""
Locks on what has no row, or none yet: rows of a table of their own, let go when their transaction ends.

Not GET_LOCK, which belongs to a connection and not to a transaction: it would outlive a commit, and a pooler between
us and the server would lose it.
"""

import enum
import hashlib

from evertoken.stores.mysql.connection import Connection

SLOTS = 256
"""Rows for each kind of lock."""


class Lock(enum.IntEnum):
    """What is locked. Two things that share a row by chance only wait for each other."""

    ATTEMPT = 0
    ADOPTION = 1
    USER = 2
    KEYS = 3
    SWEEP = 4


def slot(lock: Lock, what: bytes = b"") -> int:
    """The number of the row."""
    digest = hashlib.blake2b(what, digest_size=8).digest()
    return int(lock) * SLOTS + int.from_bytes(digest, "big") % SLOTS


async def take(connection: Connection, lock: Lock, *what: bytes) -> None:
    """Wait for these locks, in an order that is the same for everybody."""
    slots = sorted({slot(lock, one) for one in what or (b"",)})
    await connection.fetch(
        "SELECT slot FROM [locks] FORCE INDEX (PRIMARY) WHERE slot IN $1 ORDER BY slot FOR UPDATE", slots
    )


async def try_to_take(connection: Connection, lock: Lock) -> bool:
    """Take a lock if nobody has it."""
    found = await connection.fetch("SELECT slot FROM [locks] WHERE slot = $1 FOR UPDATE SKIP LOCKED", slot(lock))
    return bool(found)
