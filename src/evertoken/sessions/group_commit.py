"""
Group commit: refreshes that arrive while a commit is running go together into the next one.

A durable commit costs as much for one rotation as for a hundred. A lone caller never waits for company: when no
commit is running, the next one starts at once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from evertoken.clock import monotonic_seconds
from evertoken.errors import Overloaded, StoreUnavailable, TemporarilyUnavailable
from evertoken.sessions.model import RotationRequest, RotationResult
from evertoken.sessions.store import PartlyDecided

_log = logging.getLogger(__name__)

MAX_BATCH = 256
"""Rotations in one commit. More would delay the first of them for little gain."""

MAX_WAITING = 8_192
"""Callers in the queue; above it a caller is told at once to come back, so that nobody waits without end."""

MAX_WAIT_SECONDS = 8.0
"""How long a caller waits for its turn. What has not had it by then is dropped: a token decided long after it was sent
would look like a late one."""

RotateMany = Callable[[Sequence[RotationRequest]], Awaitable[list[RotationResult]]]
_Waiting = tuple[RotationRequest, "asyncio.Future[RotationResult]", float]
"""A request, its answer, and when its caller gives up."""


class GroupCommit:
    """
    A queue in front of a store's `rotate`: first come, first served, and no session twice in a batch.

    A caller that is cancelled leaves its rotation to be decided all the same: the answer is lost, as on a bad line.
    """

    def __init__(
        self,
        rotate: RotateMany,
        *,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
        monotonic: Callable[[], float] = monotonic_seconds,
    ) -> None:
        self._rotate = rotate
        self._monotonic = monotonic
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: deque[_Waiting] = deque()
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, request: RotationRequest) -> RotationResult:
        """
        Hand over one rotation and wait for its commit.

        Raises:
            Overloaded: the queue is full.
            StoreUnavailable: the commit that held this rotation failed, or its turn did not come within
                `MAX_WAIT_SECONDS`; it took no effect.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded("too many refreshes are waiting for the store")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[RotationResult] = loop.create_future()
        self._waiting.append((request, future, self._monotonic() + MAX_WAIT_SECONDS))
        if self._runner is None or self._runner.done():
            self._runner = loop.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            batch = self._next_batch()
            if not batch:
                continue
            try:
                results = await self._rotate([request for request, _, _ in batch])
                answers = list(zip(batch, results, strict=True))
            except PartlyDecided as error:
                _answer([(batch[place], result) for place, result in error.results.items()])
                _fail(batch, str(error))  # those that have no answer yet
            except TemporarilyUnavailable as error:
                _fail(batch, str(error))
            except Exception:  # noqa: BLE001
                # A fault of ours must not leave anybody waiting, nor stop the queue for those behind.
                _log.exception("a commit of rotations failed")
                _fail(batch, "the store failed in the middle of a commit")
            except asyncio.CancelledError:
                _fail([*batch, *self._waiting], "the server is stopping")
                self._waiting.clear()
                raise
            else:
                _answer(answers)

    def _next_batch(self) -> list[_Waiting]:
        """The oldest callers, of each session only the first; the others keep their place in the queue."""
        batch: list[_Waiting] = []
        seen: set[bytes] = set()
        now = self._monotonic()
        held_back: list[_Waiting] = []
        while self._waiting and len(batch) < self._max_batch:
            entry = self._waiting.popleft()
            if entry[2] <= now:
                _fail([entry], "the store did not answer in time")
                continue
            session_id = entry[0].token.session_id
            if session_id in seen:
                held_back.append(entry)
            else:
                seen.add(session_id)
                batch.append(entry)
        self._waiting.extendleft(reversed(held_back))
        return batch


def _answer(answers: Sequence[tuple[_Waiting, RotationResult]]) -> None:
    for (_, future, _), result in answers:
        if not future.done():
            future.set_result(result)


def _fail(batch: Sequence[_Waiting], detail: str) -> None:
    for _, future, _ in batch:
        if not future.done():
            future.set_exception(StoreUnavailable(detail))
