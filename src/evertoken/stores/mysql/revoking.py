"""
Ending sessions in MariaDB or MySQL: the row, and the line in `revocations` that guards follow, in one transaction.

There is no RETURNING: rows are locked as they are read, then changed by their ids. Indexes are named: a statement that
walks a table, as the optimizer prefers while that is small, waits for every row of it that somebody holds.

A session that looks expired is ended too: after a rollback of the store its token may have a later date than its row.
"""

from collections.abc import Sequence

from evertoken.sessions.model import Caller, Event, EventKind
from evertoken.sessions.rotation import Reason
from evertoken.stores.mysql.statements import table
from evertoken.stores.mysql.transaction import Transaction

_ALIVE = (
    "SELECT id, user_id, username FROM [sessions] FORCE INDEX (PRIMARY) WHERE id IN $1 AND revoked_at_ms IS NULL"
    " AND ($2 IS NULL OR user_id = $2) ORDER BY id FOR UPDATE"
)
_ALIVE_OF_USER = (
    "SELECT id FROM [sessions] FORCE INDEX (of_user) WHERE user_id = $1 AND revoked_at_ms IS NULL"
    " AND ($2 IS NULL OR id <> $2) FOR UPDATE"
)
_ALIVE_AS_READ = (
    "SELECT s.id FROM ($1) AS seen STRAIGHT_JOIN [sessions] s FORCE INDEX (PRIMARY) ON s.id = seen.id"
    " WHERE s.revoked_at_ms IS NULL"
    " AND s.tag = seen.tag AND s.previous <=> seen.previous AND s.generation = seen.generation"
    " AND s.advanced_at_ms = seen.advanced_at_ms FOR UPDATE"
)
_REVOKE = "UPDATE [sessions] FORCE INDEX (PRIMARY) SET revoked_at_ms = $1, revoked_reason = $2 WHERE id IN $3"

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
    rows = await transaction.connection.fetch(_ALIVE, sorted(session_ids), user_id)
    ended = {row[0]: row for row in rows}
    in_order = [session_id for session_id in session_ids if session_id in ended]
    await _revoke(transaction, in_order, reason)
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
        for session_id in in_order
    )


async def revoke_all(
    transaction: Transaction, user_id: str, reason: Reason, *, keep: bytes | None
) -> tuple[bytes, ...]:
    """End every session of a user but one; returns the ids that ended."""
    rows = await transaction.connection.fetch(_ALIVE_OF_USER, user_id, keep)
    session_ids = tuple(row[0] for row in rows)
    await _revoke(transaction, session_ids, reason)
    return session_ids


async def revoke_as_read(transaction: Transaction, rows: Sequence[AsRead], reason: Reason) -> set[bytes]:
    """End those sessions that still are as they were read; returns their ids."""
    if not rows:
        return set()
    in_order = sorted(rows, key=lambda row: row[0])
    seen = table(("id", "tag", "previous", "generation", "advanced_at_ms"), in_order)
    session_ids = [row[0] for row in await transaction.connection.fetch(_ALIVE_AS_READ, seen)]
    await _revoke(transaction, session_ids, reason)
    return set(session_ids)


async def _revoke(transaction: Transaction, session_ids: Sequence[bytes], reason: Reason) -> None:
    if session_ids:
        await transaction.connection.execute(_REVOKE, transaction.now_ms, reason.value, session_ids)
        transaction.revoked(session_ids)
