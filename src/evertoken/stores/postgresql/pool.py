"""
The connections of one process: few, opened when they are needed, given out first come, first served.

Refreshes have connections of their own, so that no list or sign-in stands in their way. Every call ends within
`ANSWER_WITHIN_SECONDS`, whatever the server or the network does; a connection on which anything went wrong is thrown
away, and those that idle beside it, so that the next call finds a server that has been restarted or has failed over.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from evertoken.clock import Clock
from evertoken.errors import StoreUnavailable
from evertoken.stores.postgresql.connection import Connection
from evertoken.stores.postgresql.failures import FAILURES, TRY_AGAIN, unavailable
from evertoken.stores.postgresql.transaction import Transaction

_log = logging.getLogger(__name__)

T = TypeVar("T")
Opener = Callable[[int | None], Awaitable[Connection]]
"""Opens a connection whose statements wait for a row this many milliseconds; None: as long as a statement may take."""

ANSWER_WITHIN_SECONDS = 8.0
"""What a caller waits for the store."""

REFRESH_LOCK_WITHIN_MS = 1_000
"""How long a batch of refreshes waits for a row that another transaction is writing. Usually that is one commit."""

MAX_TRIES = 5
"""How often a transaction is run that the server undid for the sake of another one."""

CONNECTIONS_FOR_REFRESHES = 2
CONNECTIONS = 6
"""For all the rest; with those for refreshes, what one process opens at most."""


class Lane:
    """Up to `size` connections for one kind of work, and the queue in front of them."""

    def __init__(self, opener: Callable[[], Awaitable[Connection]], size: int) -> None:
        self._opener = opener
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._closed = False

    async def use(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """
        Run `work` on a connection.

        Whatever it raises, the connection is thrown away: of a statement that was cut short, nobody knows what the
        server makes of it.
        """
        async with self._slots:
            connection = self._take_idle() or await self._opener()
            try:
                result = await work(connection)
            except BaseException:
                connection.terminate()
                self.drop_idle()
                raise
            if self._closed:
                connection.terminate()
            else:
                self._idle.append(connection)
            return result

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    def drop_idle(self) -> None:
        """Let go of what is not in use."""
        while self._idle:
            self._idle.pop().terminate()

    async def close(self) -> None:
        """Say goodbye to the server on every connection that is not in use."""
        self._closed = True
        while self._idle:
            try:
                await self._idle.pop().close(timeout=1)
            except FAILURES as error:
                _log.debug("a connection was not closed in time: %s", error)


class Pool:
    """
    The lanes of one process.

    Args:
        clock: The time where a test says it; None for the database's own, which is what decides between machines.
    """

    def __init__(self, opener: Opener, *, clock: Clock | None) -> None:
        self._clock = clock
        self._refreshes = Lane(lambda: opener(REFRESH_LOCK_WITHIN_MS), CONNECTIONS_FOR_REFRESHES)
        self._others = Lane(lambda: opener(None), CONNECTIONS)
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def told_ms(self) -> int | None:
        """What statements are given for `now`: NULL lets the server read its clock."""
        return None if self._clock is None else self._clock()

    async def refresh(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """
        Run statements of a refresh, each its own transaction; run anew if the server undid one for another's sake.

        Raises:
            StoreUnavailable: the database failed, or did not answer in time.
        """
        return await self._run(self._tried(self._refreshes, work), ANSWER_WITHIN_SECONDS)

    async def refresh_in_transaction(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """
        The same for statements that stand or fall together.

        Raises:
            StoreUnavailable: as `refresh`.
        """
        return await self.refresh(self._transacted(work))

    async def read(
        self, work: Callable[[Connection], Awaitable[T]], *, within_seconds: float = ANSWER_WITHIN_SECONDS
    ) -> T:
        """
        Run statements that each see what is committed.

        Raises:
            StoreUnavailable: as `refresh`.
        """
        return await self._run(self._tried(self._others, work), within_seconds)

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """
        Run `work` in a transaction, which is committed unless it raises; run anew if the server undid it.

        It goes on to its end even if the caller is cancelled: what was begun is never left half done.

        Raises:
            StoreUnavailable: as `refresh`. Where the connection was lost at the commit, it may have been committed.
        """
        return await self._run(self._tried(self._others, self._transacted(work)), ANSWER_WITHIN_SECONDS)

    def _transacted(self, work: Callable[[Transaction], Awaitable[T]]) -> Callable[[Connection], Awaitable[T]]:
        return lambda connection: Transaction.run(connection, work, told_ms=self.told_ms())

    async def close(self) -> None:
        """Let what is under way finish, then close the connections."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running, timeout=ANSWER_WITHIN_SECONDS)
        await self._refreshes.close()
        await self._others.close()

    def abort(self) -> None:
        """Let go of everything at once, also when the event loop has ended."""
        self._closed = True
        for lane in (self._refreshes, self._others):
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the sockets with it
                lane.drop_idle()

    async def _tried(self, lane: Lane, work: Callable[[Connection], Awaitable[T]]) -> T:
        async def until_it_stands(connection: Connection) -> T:
            for _ in range(MAX_TRIES - 1):
                try:
                    return await work(connection)
                except TRY_AGAIN as error:
                    _log.info("the database undid a transaction, it is run anew: %s", type(error).__name__)
            return await work(connection)

        return await lane.use(until_it_stands)

    async def _run(self, work: Coroutine[Any, Any, T], within_seconds: float) -> T:
        if self._closed:
            work.close()
            raise StoreUnavailable("the store is closed")
        task = asyncio.get_running_loop().create_task(_within(work, within_seconds))
        self._running.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen: the caller may be gone


async def _within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except FAILURES as error:
        raise unavailable(error) from error
