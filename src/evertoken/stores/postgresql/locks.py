"""Locks on what has no row, or none yet; each is let go when its transaction ends."""

import enum
import hashlib

from evertoken.stores.postgresql.connection import Connection


class Lock(enum.Enum):
    """What is locked. Two things that share a number by chance only wait for each other."""

    MIGRATION = b"evertoken.migrate"
    USER = b"evertoken.user"
    ATTEMPT = b"evertoken.try"
    ADOPTION = b"evertoken.adopt"
    KEYS = b"evertoken.keys"
    SWEEP = b"evertoken.sweep"


def number(lock: Lock, what: bytes = b"") -> int:
    """The lock's number, as PostgreSQL wants it: 64 bits with a sign."""
    digest = hashlib.blake2b(what, digest_size=8, person=lock.value[:16]).digest()
    return int.from_bytes(digest, "big", signed=True)


async def take(connection: Connection, lock: Lock, *what: bytes) -> None:
    """Wait for these locks, in an order that is the same for everybody."""
    numbers = sorted(number(lock, one) for one in what or (b"",))
    await connection.execute("SELECT pg_advisory_xact_lock(n) FROM unnest($1::bigint[]) AS n", numbers)


async def try_to_take(connection: Connection, lock: Lock) -> bool:
    """Take a lock if nobody has it."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", number(lock)))
