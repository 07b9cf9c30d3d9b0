"""
Sending commands: many in one pipeline, each call within a deadline, first come, first served.

Refreshes have a turn of their own, so that no list or sign-in stands in their way. After anything went wrong all idle
connections are let go, so that the next call finds a server that was restarted or has failed over.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from redis import exceptions

from evertoken.clock import Clock
from evertoken.errors import StoreUnavailable
from evertoken.stores.redis.connection import Address
from evertoken.stores.redis.failures import FAILURES, unavailable
from evertoken.stores.redis.record import packed_instant
from evertoken.stores.redis.scripts import ALL, Command

_log = logging.getLogger(__name__)

T = TypeVar("T")

ANSWER_WITHIN_SECONDS = 8.0
"""What a caller waits for the store."""

_AT_ONCE_REFRESHES = 2
_AT_ONCE = 6
_MAX_COMMANDS = 1_000
"""In one pipeline: others wait behind it."""


class Calls:
    """
    The way of one process to Redis.

    Args:
        clock: The time where a test says it; None for Redis's own, which is what decides between machines.
    """

    def __init__(self, address: Address, *, clock: Clock | None) -> None:
        self._address = address
        self._clock = clock
        self._client: Any = None
        self._connecting = asyncio.Lock()
        self._refreshes = asyncio.Semaphore(_AT_ONCE_REFRESHES)
        self._others = asyncio.Semaphore(_AT_ONCE)
        self._running: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self._closed = False

    def told(self) -> bytes:
        """What scripts are given for `now`: zeros let Redis read its clock."""
        return packed_instant(self.told_ms())

    def told_ms(self) -> int:
        """The same as a number."""
        return 0 if self._clock is None else self._clock()

    async def now_ms(self) -> int:
        """The time."""
        if self._clock is not None:
            return self._clock()
        client = await self._connected()
        async with self._others:
            seconds, microseconds = await self._guarded(client.time())
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def refresh(self, commands: Sequence[Command]) -> list[Any]:
        """As `run`, for refreshes."""
        return await self._send(commands, self._refreshes)

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """
        Send commands together; the answers stand in their order.

        Raises:
            StoreUnavailable: one of them failed, or was not answered in time. Others may have had their effect.
        """
        if len(commands) <= _MAX_COMMANDS:
            return await self._send(commands, self._others)
        answers: list[Any] = []
        for start in range(0, len(commands), _MAX_COMMANDS):
            answers += await self._send(commands[start : start + _MAX_COMMANDS], self._others)
        return answers

    async def one(self, command: Command) -> Any:
        """Send one command."""
        return (await self.run([command]))[0]

    async def whole(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Run several steps to their end even if the caller is cancelled: what was begun is not left half done.

        Raises:
            StoreUnavailable: as `run`; all steps together have as long as one has alone.
        """
        if self._stopping:
            work.close()
            raise StoreUnavailable("the store is closed")
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._running.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def stop(self) -> None:
        """Let what is under way finish, then close the connections."""
        self._stopping = True
        if self._running:
            await asyncio.wait(self._running, timeout=ANSWER_WITHIN_SECONDS)
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await _close(client)

    def abort(self) -> None:
        """Take nothing new, from anywhere; connections close with the process."""
        self._stopping = self._closed = True

    async def client(self) -> Any:
        """The driver's client, for what is asked at the start; its errors are the driver's."""
        if self._client is None:
            async with self._connecting:
                if self._client is None:
                    self._client = await self._made()
        return self._client

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen: the caller may be gone

    async def _made(self) -> Any:
        single = self._address.client(cluster=False)
        try:
            if not (await single.info("cluster")).get("cluster_enabled"):
                return single
        except BaseException:
            await _close(single)
            raise
        await _close(single)
        cluster = self._address.client(cluster=True)
        await cluster.initialize()
        return cluster

    async def _connected(self) -> Any:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return await self._guarded(self.client())

    async def _send(self, commands: Sequence[Command], turn: asyncio.Semaphore) -> list[Any]:
        if not commands:
            return []
        client = await self._connected()
        return await self._guarded(_in_turn(client, commands, turn))

    async def _guarded(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
                return await work
        except FAILURES as error:
            await self._let_go()
            raise unavailable(error) from error

    async def _let_go(self) -> None:
        """Drop idle connections: the server behind them may be another than the one that the address names now."""
        pool = getattr(self._client, "connection_pool", None)
        if pool is not None:
            try:
                await pool.disconnect(inuse_connections=False)
            except FAILURES as error:
                _log.debug("a connection was not closed: %s", type(error).__name__)


async def _close(client: Any) -> None:
    sentinel = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    for one in (client, *(() if sentinel is None else sentinel.sentinels)):
        try:
            await one.aclose()
        except FAILURES as error:
            _log.debug("a connection was not closed: %s", type(error).__name__)


async def _in_turn(client: Any, commands: Sequence[Command], turn: asyncio.Semaphore) -> list[Any]:
    async with turn:
        answers = await _pipelined(client, commands)
        unknown = [n for n, answer in enumerate(answers) if isinstance(answer, exceptions.NoScriptError)]
        if unknown:
            # A server that was restarted, or took over, has forgotten our scripts. Those commands have had no effect.
            again = await _pipelined(client, [_in_full(commands[n]) for n in unknown])
            for n, answer in zip(unknown, again, strict=True):
                answers[n] = answer
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


async def _pipelined(client: Any, commands: Sequence[Command]) -> list[Any]:
    pipeline = client.pipeline(transaction=False) if not hasattr(client, "get_primaries") else client.pipeline()
    for command in commands:
        pipeline.execute_command(*command)
    answers: list[Any] = await pipeline.execute(raise_on_error=False)
    return answers


def _in_full(command: Command) -> Command:
    return ("EVAL", ALL[str(command[1])].source, *command[2:])


def scored(answer: Sequence[Any]) -> list[tuple[bytes, float]]:
    """Members and scores, in pairs whichever way this version of the driver has them."""
    if answer and not isinstance(answer[0], bytes):
        return [(member, float(score)) for member, score in answer]
    return [(member, float(score)) for member, score in zip(answer[::2], answer[1::2], strict=True)]
