"""
The connections of one process to a database server: few, opened when they are needed, first come, first served.

Refreshes have connections of their own, so that no list or sign-in stands in their way. Every call ends within a
deadline, whatever the server or the network does; a connection on which anything went wrong is thrown away, and those
that idle beside it, so that the next call finds a server that has been restarted or has failed over.

An engine's own `pool.py` says what its driver raises, and how a transaction is run.
"""

import abc
import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

from evertoken.clock import Clock
from evertoken.errors import StoreUnavailable

T = TypeVar("T")
Failures = tuple[type[BaseException], ...]

MAX_TRIES = 5
"""How often a transaction is run that the server undid for the sake of another one."""

CONNECTIONS_FOR_REFRESHES = 2
CONNECTIONS = 6
"""For all the rest; with those for refreshes, what one process opens at most."""

_GOODBYE_WITHIN_SECONDS = 1.0


class Closable(Protocol):
    """What is asked of a connection."""

    def is_closed(self) -> bool:
        """Whether it cannot be used any more."""

    def terminate(self) -> None:
        """Let go of it at once."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as asyncpg has it
        """Say goodbye to the server, then let go of it."""


C = TypeVar("C", bound=Closable)
X = TypeVar("X")


class Lane(Generic[C]):
    """Up to `size` connections for one kind of work, and the queue in front of them."""

    def __init__(self, opener: Callable[[], Awaitable[C]], size: int) -> None:
        self._opener = opener
        self._slots = asyncio.Semaphore(size)
        self._idle: list[C] = []
        self._closed = False

    async def use(self, work: Callable[[C], Awaitable[T]]) -> T:
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

    def _take_idle(self) -> C | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    def drop_idle(self) -> None:
        """Let go of what is not in use."""
        while self._idle:
            self._idle.pop().terminate()

    async def close(self, failures: Failures) -> list[BaseException]:
        """Say goodbye to the server on every connection that is not in use; gives what went wrong."""
        self._closed = True
        failed: list[BaseException] = []
        while self._idle:
            try:
                await self._idle.pop().close(timeout=_GOODBYE_WITHIN_SECONDS)
            except failures as error:
                failed.append(error)
        return failed


class Pool(abc.ABC, Generic[C, X]):
    """
    The lanes of one process.

    Args:
        refreshes: Opens a connection for refreshes.
        others: Opens one for all the rest.
        clock: The time where a test says it; None for the database's own, which is what decides between machines.
    """

    failures: Failures
    """Everything that the driver raises about a statement or a connection."""

    try_again: Failures
    """The transaction was undone by the server and can be run anew, on the same connection."""

    log: logging.Logger

    def __init__(
        self, refreshes: Callable[[], Awaitable[C]], others: Callable[[], Awaitable[C]], *, clock: Clock | None
    ) -> None:
        self._clock = clock
        self._refreshes = Lane(refreshes, CONNECTIONS_FOR_REFRESHES)
        self._others = Lane(others, CONNECTIONS)
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    @abc.abstractmethod
    def unavailable(self, error: BaseException) -> StoreUnavailable:
        """What a caller is told of a failure."""

    @abc.abstractmethod
    def answer_within_seconds(self) -> float:
        """What a caller waits for the store."""

    @abc.abstractmethod
    async def transact(self, connection: C, work: Callable[[X], Awaitable[T]]) -> T:
        """Run `work` in a transaction and commit it."""

    def told_ms(self) -> int | None:
        """What statements are given for `now`: NULL lets the server read its clock."""
        return None if self._clock is None else self._clock()

    async def refresh(self, work: Callable[[C], Awaitable[T]]) -> T:
        """
        Run statements of a refresh, each its own transaction; run anew if the server undid one for another's sake.

        Raises:
            StoreUnavailable: the database failed, or did not answer in time.
        """
        return await self._run(self._tried(self._refreshes, work), self.answer_within_seconds())

    async def refresh_in_transaction(self, work: Callable[[X], Awaitable[T]]) -> T:
        """
        The same for statements that stand or fall together.

        Raises:
            StoreUnavailable: as `refresh`.
        """
        return await self.refresh(self._transacted(work))

    async def read(self, work: Callable[[C], Awaitable[T]], *, within_seconds: float | None = None) -> T:
        """
        Run statements that each see what is committed.

        Args:
            within_seconds: What the caller waits; None: as long as for anything else.

        Raises:
            StoreUnavailable: as `refresh`.
        """
        if within_seconds is None:
            within_seconds = self.answer_within_seconds()
        return await self._run(self._tried(self._others, work), within_seconds)

    async def write(self, work: Callable[[X], Awaitable[T]]) -> T:
        """
        Run `work` in a transaction, which is committed unless it raises; run anew if the server undid it.

        It goes on to its end even if the caller is cancelled: what was begun is never left half done.

        Raises:
            StoreUnavailable: as `refresh`. Where the connection was lost at the commit, it may have been committed.
        """
        return await self._run(self._tried(self._others, self._transacted(work)), self.answer_within_seconds())

    def _transacted(self, work: Callable[[X], Awaitable[T]]) -> Callable[[C], Awaitable[T]]:
        return lambda connection: self.transact(connection, work)

    async def close(self) -> None:
        """Let what is under way finish, then close the connections."""
        self._closed = True
        if self._running:
            await asyncio.wait(self._running, timeout=self.answer_within_seconds())
        for lane in (self._refreshes, self._others):
            for error in await lane.close(self.failures):
                self.log.debug("a connection was not closed in time: %s", error)

    def abort(self) -> None:
        """Let go of everything at once, also when the event loop has ended."""
        self._closed = True
        for lane in (self._refreshes, self._others):
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the sockets with it
                lane.drop_idle()

    async def _tried(self, lane: Lane[C], work: Callable[[C], Awaitable[T]]) -> T:
        async def until_it_stands(connection: C) -> T:
            for _ in range(MAX_TRIES - 1):
                try:
                    return await work(connection)
                except self.try_again as error:
                    self.log.info("the database undid a transaction, it is run anew: %s", type(error).__name__)
            return await work(connection)

        return await lane.use(until_it_stands)

    async def _run(self, work: Coroutine[Any, Any, T], within_seconds: float) -> T:
        if self._closed:
            work.close()
            raise StoreUnavailable("the store is closed")
        task = asyncio.get_running_loop().create_task(self._within(work, within_seconds))
        self._running.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen: the caller may be gone

    async def _within(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await work
        except self.failures as error:
            raise self.unavailable(error) from error
