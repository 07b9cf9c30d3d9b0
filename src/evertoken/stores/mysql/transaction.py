"""
A transaction over a few statements.

What it revokes is announced in its last packet, together with the commit: see `announcement`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from evertoken.stores.mysql.connection import Connection
from evertoken.stores.mysql.failures import TRY_AGAIN
from evertoken.stores.mysql.statements import Sql, literal, written

T = TypeVar("T")

NOW = "COALESCE($1, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) DIV 1000)"
"""
Milliseconds since the epoch by the database's clock at the beginning of the statement, or what a test says in $1.

In UTC: UNIX_TIMESTAMP(NOW()) would be an hour off in the hour that a time zone repeats in autumn.
"""

FROZEN_AFTER_SECONDS = 8
"""
A machine that freezes in the middle of a transaction does not hold its rows against the others for ever: the server
ends a connection that is silent for so long. Between transactions a connection may idle, so this is set and unset.
"""

BEGIN = f"SET SESSION wait_timeout = {FROZEN_AFTER_SECONDS}; BEGIN; "
COMMIT = "COMMIT; SET SESSION wait_timeout = DEFAULT"
ROLLBACK = "ROLLBACK; SET SESSION wait_timeout = DEFAULT"


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
        now_ms: int = await connection.fetchval(f"{BEGIN}SELECT {NOW}", told_ms)
        try:
            transaction = cls(connection, now_ms)
            result = await work(transaction)
            await transaction._commit()
        except TRY_AGAIN:
            await connection.run(ROLLBACK)
            raise
        return result  # after any other error the connection is thrown away, which undoes the transaction

    def revoked(self, session_ids: Sequence[bytes]) -> None:
        """Tell the guards of these sessions when this is committed."""
        self._revoked += session_ids

    async def _commit(self) -> None:
        told = announcement(self._revoked, self.now_ms, self.connection.prefix)
        await self.connection.run(Sql(told + COMMIT))


def announcement(session_ids: Sequence[bytes], now_ms: int, prefix: str) -> Sql:
    """
    The statements that number revocations, to be sent in one packet with the commit.

    A guard asks for what lies behind a number, so a number must not become visible once a higher one is. An
    AUTO_INCREMENT does not promise that: it is not handed out in the order of commits. The row of the counter does:
    whoever takes a number holds it until the commit is done. Nothing comes between the two, neither a round trip nor a
    client that freezes, so others wait for one flush of the log at most.

    The numbers follow the clock: counted from 1, they would begin again below the guards' cursors once an older backup
    is restored, and the guards would miss what is revoked then.
    """
    if not session_ids:
        return Sql()
    count = len(session_ids)
    # LAST_INSERT_ID() is what was given to it by this connection last: the number that the counter has come to.
    rows = ",".join(
        f"(LAST_INSERT_ID() - {count - number}, {literal(one)}, {now_ms})" for number, one in enumerate(session_ids, 1)
    )
    return written(
        "UPDATE [revocation_counter] SET last = LAST_INSERT_ID(GREATEST(last, $1 * 1000) + $2);"
        " INSERT INTO [revocations] (seq, session_id, at_ms) VALUES $3;",
        prefix,
        (now_ms, count, Sql(rows)),
    )
