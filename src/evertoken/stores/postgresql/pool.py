"""The connections of one process to PostgreSQL; see `stores.pooling`."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from evertoken.clock import Clock
from evertoken.errors import StoreUnavailable
from evertoken.stores import pooling
from evertoken.stores.postgresql.connection import Connection
from evertoken.stores.postgresql.failures import FAILURES, TRY_AGAIN, unavailable
from evertoken.stores.postgresql.transaction import Transaction

T = TypeVar("T")
Opener = Callable[[int | None], Awaitable[Connection]]
"""Opens a connection whose statements wait for a row this many milliseconds; None: as long as a statement may take."""

ANSWER_WITHIN_SECONDS = 8.0
"""What a caller waits for the store."""

REFRESH_LOCK_WITHIN_MS = 1_000
"""How long a batch of refreshes waits for a row that another transaction is writing. Usually that is one commit."""


class Pool(pooling.Pool[Connection, Transaction]):
    """The lanes of one process, over asyncpg."""

    failures = FAILURES
    try_again = TRY_AGAIN
    log = logging.getLogger(__name__)

    def __init__(self, opener: Opener, *, clock: Clock | None) -> None:
        super().__init__(lambda: opener(REFRESH_LOCK_WITHIN_MS), lambda: opener(None), clock=clock)

    def unavailable(self, error: BaseException) -> StoreUnavailable:
        return unavailable(error)

    def answer_within_seconds(self) -> float:
        return ANSWER_WITHIN_SECONDS

    async def transact(self, connection: Connection, work: Callable[[Transaction], Awaitable[T]]) -> T:
        return await Transaction.run(connection, work, told_ms=self.told_ms())
