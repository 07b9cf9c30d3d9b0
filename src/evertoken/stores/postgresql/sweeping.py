"""Removing what is kept no longer, in steps so small that no refresh waits for one."""

from evertoken.sessions.store import KEPT_AFTER_END_MS
from evertoken.stores.postgresql.connection import affected
from evertoken.stores.postgresql.locks import Lock, try_to_take
from evertoken.stores.postgresql.transaction import Transaction

ROWS_PER_STEP = 500
_SCAN_PER_STEP = 1_000
"""Each may lie on a page of its own that has to be read from the disk: of ten million, 2,000 took 1.1 s."""
_KEYS = {"events": "id", "revocations": "seq", "throttle": "key", "adoptions": "fingerprint", "signing_keys": "kid"}

_OVER_AT = "coalesce(revoked_at_ms, least(idle_expires_at_ms, max_expires_at_ms))"
_SEEN = f"SELECT id, {_OVER_AT} FROM sessions WHERE id > $1 ORDER BY id LIMIT {_SCAN_PER_STEP}"
# A row that somebody is writing just now lives: it is left for the next round, and nobody waits.
_DELETE_SESSIONS = (
    "DELETE FROM sessions WHERE id = ANY(ARRAY(SELECT id FROM sessions"
    f" WHERE id = ANY($1::bytea[]) AND {_OVER_AT} < $2 ORDER BY id FOR UPDATE SKIP LOCKED)) RETURNING id"
)


class Sweeper:
    """Walks the sessions round and round; holds nothing but where it is. One machine sweeps at a time."""

    def __init__(self, *, access_lifetime_ms: int) -> None:
        self._access_lifetime_ms = access_lifetime_ms
        self._scanned_to: bytes = b""

    async def step(self, transaction: Transaction) -> int | None:
        """One step; returns how many rows went, None at the end of the walk, or where another machine sweeps."""
        if not await try_to_take(transaction.connection, Lock.SWEEP):
            return None
        now_ms = transaction.now_ms
        gone = (
            await self._sessions(transaction, now_ms - KEPT_AFTER_END_MS)
            + await _delete(transaction, "events", "session_id IS NULL AND last_at_ms < $1", now_ms - KEPT_AFTER_END_MS)
            # A remote guard may be a minute behind; twice the lifetime is longer than any token of theirs lives.
            + await _delete(transaction, "revocations", "at_ms < $1", now_ms - 2 * self._access_lifetime_ms - 60_000)
            + await _delete(
                transaction,
                "throttle",
                "greatest(last_failure_at_ms, coalesce(last_success_at_ms, 0)) < $1",  # as the index has it
                now_ms - KEPT_AFTER_END_MS,
            )
            + await _delete(transaction, "adoptions", "forget_at_ms < $1", now_ms)
            + await _delete(transaction, "signing_keys", "verifies_until_ms < $1", now_ms - KEPT_AFTER_END_MS)
        )
        return gone if gone or self._scanned_to else None

    async def _sessions(self, transaction: Transaction, before_ms: int) -> int:
        connection = transaction.connection
        seen = await connection.fetch(_SEEN, self._scanned_to)
        over = [row[0] for row in seen if row[1] < before_ms][:ROWS_PER_STEP]
        gone: list[bytes] = []
        if over:
            gone = [row[0] for row in await connection.fetch(_DELETE_SESSIONS, over, before_ms)]
            await connection.execute("DELETE FROM events WHERE session_id = ANY($1::bytea[])", gone)
        if len(over) == ROWS_PER_STEP:
            self._scanned_to = over[-1]
        else:
            self._scanned_to = seen[-1][0] if len(seen) == _SCAN_PER_STEP else b""
        return len(gone)


async def _delete(transaction: Transaction, table: str, condition: str, before_ms: int) -> int:
    key = _KEYS[table]
    return affected(
        await transaction.connection.execute(
            f"DELETE FROM {table} WHERE {key} = ANY(ARRAY("
            f"SELECT {key} FROM {table} WHERE {condition} LIMIT {ROWS_PER_STEP} FOR UPDATE SKIP LOCKED))",
            before_ms,
        )
    )
