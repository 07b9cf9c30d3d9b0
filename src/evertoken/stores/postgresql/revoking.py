"""
Ending sessions in PostgreSQL: the row, and the line in `revocations` that guards follow, in one transaction.

A session that looks expired is ended too: after a rollback of the store its token may have a later date than its row.
"""

from collections.abc import Sequence

from evertoken.sessions.model import Caller, Event, EventKind
from evertoken.sessions.rotation import Reason
from evertoken.stores.postgresql.transaction import Transaction

_REVOKE = (
    "UPDATE sessions SET revoked_at_ms = $1, revoked_reason = $2 WHERE id = ANY($3::bytea[])"
    " AND revoked_at_ms IS NULL AND ($4::text IS NULL OR user_id = $4) RETURNING id, user_id, username"
)
_REVOKE_ALL = (
    "UPDATE sessions SET revoked_at_ms = $1, revoked_reason = $2"
    " WHERE user_id = $3 AND revoked_at_ms IS NULL AND ($4::bytea IS NULL OR id <> $4) RETURNING id"
)
_REVOKE_AS_READ = (
    "UPDATE sessions s SET revoked_at_ms = $1, revoked_reason = $2"
    " FROM unnest($3::bytea[], $4::bytea[], $5::bytea[], $6::bigint[], $7::bigint[])"
    " AS read(id, tag, previous, generation, advanced_at_ms)"
    " WHERE s.id = read.id AND s.revoked_at_ms IS NULL AND s.tag = read.tag"
    " AND s.previous IS NOT DISTINCT FROM read.previous"
    " AND s.generation = read.generation AND s.advanced_at_ms = read.advanced_at_ms RETURNING s.id"
)

AsRead = tuple[bytes, bytes, bytes | None, int, int]
"""A row as a decision was made on it: id, tag, previous, generation, advanced_at_ms."""


async def revoke(
    transaction: Transaction,
    session_ids: Sequence[bytes],
    reason: Reason,
    caller: Caller,
    *,
    user_id: str | None = None,
) -> tuple[Event, ...]:
    """End these sessions; returns a line for each that was not over, to be stored in this transaction."""
    if not session_ids:
        return ()
    rows = await transaction.connection.fetch(_REVOKE, transaction.now_ms, reason.value, sorted(session_ids), user_id)
    ended = {row[0]: row for row in rows}
    transaction.revoked([session_id for session_id in session_ids if session_id in ended])
    return tuple(
        Event(
            EventKind.SESSION_ENDED,
            transaction.now_ms,
            session_id=session_id,
            user_id=ended[session_id][1],
            username=ended[session_id][2],
            caller=caller,
            reason=reason,
        )
        for session_id in session_ids
        if session_id in ended
    )


async def revoke_all(
    transaction: Transaction, user_id: str, reason: Reason, *, keep: bytes | None
) -> tuple[bytes, ...]:
    """End every session of a user but one; returns the ids that ended."""
    rows = await transaction.connection.fetch(_REVOKE_ALL, transaction.now_ms, reason.value, user_id, keep)
    session_ids = tuple(row[0] for row in rows)
    transaction.revoked(session_ids)
    return session_ids


async def revoke_as_read(transaction: Transaction, rows: Sequence[AsRead], reason: Reason) -> set[bytes]:
    """End those sessions that still are as they were read; returns their ids."""
    if not rows:
        return set()
    columns = map(list, zip(*sorted(rows, key=lambda row: row[0]), strict=True))
    ended = await transaction.connection.fetch(_REVOKE_AS_READ, transaction.now_ms, reason.value, *columns)
    session_ids = [row[0] for row in ended]
    transaction.revoked(session_ids)
    return set(session_ids)
