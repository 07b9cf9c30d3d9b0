"""
Ending sessions in SQLite: the row, and the line in `revocations` that guards follow, in one transaction.

A session that looks expired is ended too: after a rollback of the store its token may have a later date than its row.
"""

import sqlite3

from evertoken.sessions.rotation import Reason


def revoke(
    connection: sqlite3.Connection,
    session_id: bytes,
    reason: Reason,
    now_ms: int,
    *,
    only_if_tag: bytes | None = None,
    user_id: str | None = None,
) -> bool:
    """End one session; False when it was ended already, or is not as the conditions demand."""
    ended = connection.execute(
        "UPDATE sessions SET revoked_at_ms = ?1, revoked_reason = ?2 WHERE id = ?3 AND revoked_at_ms IS NULL"
        " AND (?4 IS NULL OR tag = ?4) AND (?5 IS NULL OR user_id = ?5)",
        (now_ms, reason.value, session_id, only_if_tag, user_id),
    )
    if ended.rowcount == 0:
        return False
    announce(connection, (session_id,), now_ms)
    return True


def revoke_all(
    connection: sqlite3.Connection, user_id: str, reason: Reason, now_ms: int, *, keep: bytes | None
) -> tuple[bytes, ...]:
    """End every session of a user but one; returns the ids that ended."""
    ended = connection.execute(
        "UPDATE sessions SET revoked_at_ms = ?1, revoked_reason = ?2"
        " WHERE user_id = ?3 AND revoked_at_ms IS NULL AND (?4 IS NULL OR id <> ?4) RETURNING id",
        (now_ms, reason.value, user_id, keep),
    )
    session_ids = tuple(row[0] for row in ended.fetchall())
    announce(connection, session_ids, now_ms)
    return session_ids


def announce(connection: sqlite3.Connection, session_ids: tuple[bytes, ...], now_ms: int) -> None:
    """
    Tell the guards.

    The numbers follow the clock: counted from 1, they would begin again below the guards' cursors once an older backup
    is restored, and the guards would miss what is revoked then.
    """
    connection.executemany(
        "INSERT INTO revocations (seq, session_id, at_ms) VALUES"
        " (max(?2 * 1000, 1 + coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'revocations'), 0)), ?1, ?2)",
        [(session_id, now_ms) for session_id in session_ids],
    )
