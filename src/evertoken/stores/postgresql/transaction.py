"""
A transaction over a few statements.

What it revokes is announced in its last message, together with the commit: see revoking.py.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from evertoken.stores.postgresql.connection import Connection
from evertoken.stores.postgresql.failures import TRY_AGAIN

T = TypeVar("T")

NOW = "coalesce($1::bigint, floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint)"
"""Milliseconds since the epoch by the database's clock, or what a test says in $1."""


class Transaction:
    """
    An open transaction.

    `connection` runs its statements; `now_ms` is the database's clock, read at its beginning.
    """

    def __init__(self, connection: Connection, now_ms: int) -> None:
        self.connection = connection
        self.now_ms = now_ms
        self._revoked: list[bytes] = []

    @classmethod
    async def run(
        cls, connection: Connection, work: Callable[["Transaction"], Awaitable[T]], *, told_ms: int | None
    ) -> T:
        """Run `work` in a transaction and commit it. Where `work` raises, the connection must not be used any more."""
        await connection.execute("BEGIN")
        try:
            now_ms: int = await connection.fetchval(f"SELECT {NOW}", told_ms)
            transaction = cls(connection, now_ms)
            result = await work(transaction)
            await transaction._commit()
        except TRY_AGAIN:
            await connection.execute("ROLLBACK")
            raise
        return result  # after any other error the connection is thrown away, which undoes the transaction

    def revoked(self, session_ids: Sequence[bytes]) -> None:
        """Tell the guards of these sessions when this is committed."""
        self._revoked += session_ids

    async def _commit(self) -> None:
        await self.connection.execute(announcement(self._revoked, self.now_ms) + "COMMIT")


def announcement(session_ids: Sequence[bytes], now_ms: int) -> str:
    """
    The statement that numbers revocations, to be sent in one message with the commit.

    A guard asks for what lies behind a number, so a number must not become visible once a higher one is. A sequence
    does not promise that: it is not handed out in the order of commits. The row of the counter does: whoever takes a
    number holds it until the commit is done. Nothing comes between the two, neither a round trip nor a client that
    freezes, so others wait for one flush of the log at most.

    The numbers follow the clock: counted from 1, they would begin again below the guards' cursors once an older backup
    is restored, and the guards would miss what is revoked then.
    """
    if not session_ids:
        return ""
    # A message of several statements takes no parameters; an id is bytes, and its digits are 0-9 and a-f.
    ids = ",".join(f"'\\x{session_id.hex()}'::bytea" for session_id in session_ids)
    return (
        "WITH counted AS (UPDATE revocation_counter"
        f" SET last = greatest(last, {now_ms} * 1000::bigint) + {len(session_ids)} RETURNING last)"
        " INSERT INTO revocations (seq, session_id, at_ms)"
        f" SELECT counted.last - {len(session_ids)} + listed.number, listed.id, {now_ms}"
        f" FROM counted, unnest(ARRAY[{ids}]) WITH ORDINALITY AS listed(id, number);"
    )
