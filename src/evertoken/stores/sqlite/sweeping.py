"""Removing what is kept no longer, in steps so small that no refresh waits for one."""

import sqlite3

from evertoken.sessions.store import KEPT_AFTER_END_MS

ROWS_PER_STEP = 500
_SCAN_PER_STEP = 2_000
_KEYS = {"events": "id", "revocations": "seq", "throttle": "key", "adoptions": "fingerprint", "signing_keys": "kid"}


class Sweeper:
    """Walks the sessions round and round; holds nothing but where it is."""

    def __init__(self, *, access_lifetime_ms: int) -> None:
        self._access_lifetime_ms = access_lifetime_ms
        self._scanned_to: bytes = b""

    def step(self, connection: sqlite3.Connection, now_ms: int) -> int | None:
        """One step inside the open transaction; returns how many rows went, None at the end of the walk."""
        gone = (
            self._sessions(connection, now_ms - KEPT_AFTER_END_MS)
            + _delete(connection, "events", "session_id IS NULL AND last_at_ms < ?1", now_ms - KEPT_AFTER_END_MS)
            # A remote guard may be a minute behind; twice the lifetime is longer than any token of theirs lives.
            + _delete(connection, "revocations", "at_ms < ?1", now_ms - 2 * self._access_lifetime_ms - 60_000)
            + _delete(
                connection,
                "throttle",
                "max(last_failure_at_ms, coalesce(last_success_at_ms, 0)) < ?1",  # as the index has it
                now_ms - KEPT_AFTER_END_MS,
            )
            + _delete(connection, "adoptions", "forget_at_ms < ?1", now_ms)
            + _delete(connection, "signing_keys", "verifies_until_ms < ?1", now_ms - KEPT_AFTER_END_MS)
        )
        return gone if gone or self._scanned_to else None

    def _sessions(self, connection: sqlite3.Connection, before_ms: int) -> int:
        seen = connection.execute(
            "SELECT id, coalesce(revoked_at_ms, min(idle_expires_at_ms, coalesce(max_expires_at_ms, idle_expires_at_ms)))"  # noqa: E501
            " FROM sessions WHERE id > ? ORDER BY id LIMIT ?",
            (self._scanned_to, _SCAN_PER_STEP),
        ).fetchall()
        gone = [(row[0],) for row in seen if row[1] < before_ms][:ROWS_PER_STEP]
        connection.executemany("DELETE FROM events WHERE session_id = ?", gone)
        connection.executemany("DELETE FROM sessions WHERE id = ?", gone)
        is_step_full = len(gone) == ROWS_PER_STEP
        self._scanned_to = gone[-1][0] if is_step_full else (seen[-1][0] if len(seen) == _SCAN_PER_STEP else b"")
        return len(gone)


def _delete(connection: sqlite3.Connection, table: str, condition: str, before_ms: int) -> int:
    key = _KEYS[table]
    return connection.execute(
        f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {condition} LIMIT {ROWS_PER_STEP})",
        (before_ms,),
    ).rowcount
