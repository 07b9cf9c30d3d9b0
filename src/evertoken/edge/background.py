"""What the server does between requests: follow the store, sweep it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from evertoken.clock import Clock
from evertoken.edge import logs
from evertoken.edge.recalling import Recalling
from evertoken.edge.standstill import BEAT_SECONDS, Standstill
from evertoken.errors import EvertokenError
from evertoken.sessions.keys import KeyKeeper
from evertoken.sessions.model import session_id_text
from evertoken.sessions.recall import RevocationMemory
from evertoken.sessions.store import SessionStore

FOLLOW_EVERY_SECONDS = 0.25
"""How often a worker asks what the others have ended: guards elsewhere that follow it must know within 1 s."""

CLOCKS_EVERY_SECONDS = 10.0
"""How often a worker compares this machine's clock with the store's."""

KEYS_EVERY_SECONDS = 1.0
"""How often a worker reads the signing keys; see `LEAST_ANNOUNCE_SECONDS` of the settings."""

RECALL_EVERY_SECONDS = 0.5
"""How soon a worker looks at what the store may have forgotten."""

SWEEP_EVERY_SECONDS = 60.0
SWEEP_PAUSE_SECONDS = 0.05
"""Between two steps of which the first has removed something."""

SWEEP_LOOK_SECONDS = 1.0
"""After a step that found nothing: a walk over a million takes nine minutes in SQL, at 2,000 a step, 17 in Redis."""

_log = logging.getLogger(__name__)


class Background:
    """
    Keeps one worker in step with the store.

    Args:
        memory: What it remembers of revocations, should the store go back.
        recalling: What it does then.
        standstill: Notices if this process stands still.
        clock: The time in milliseconds.
        on_revoked: Told the sessions that any worker has ended, with the time in milliseconds, and the store's cursor
            behind them.
        on_keys_changed: Told when the key ring is another.
        on_followed: Told when all that the store has to say has been read.
        compare_clocks: Compares this machine's clock with the store's; None where they are one.
    """

    def __init__(
        self,
        store: SessionStore,
        keys: KeyKeeper,
        memory: RevocationMemory,
        recalling: Recalling,
        standstill: Standstill,
        *,
        clock: Clock,
        on_revoked: Callable[[Sequence[tuple[str, int]], int], None],
        on_keys_changed: Callable[[], None],
        on_followed: Callable[[], None] = lambda: None,
        compare_clocks: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._keys = keys
        self._memory = memory
        self._recalling = recalling
        self.standstill = standstill
        self._clock = clock
        self._on_revoked = on_revoked
        self._on_keys_changed = on_keys_changed
        self._on_followed = on_followed
        self._compare_clocks = compare_clocks
        self._has_followed = False
        self._nudged = asyncio.Event()
        self._following = asyncio.Lock()

    def nudge(self) -> None:
        """Follow the store now: something has been revoked in this process."""
        self._nudged.set()

    async def follow(self) -> None:
        """One step: learn what was revoked and which keys there are."""
        await self.follow_revocations()
        await self.follow_keys()

    async def follow_revocations(self) -> None:
        """Learn what was revoked, and notice where the store no longer knows what it told before."""
        memory = self._memory
        async with self._following:  # two at once would tell the same twice, and out of order
            memory.begin()
            while True:
                news, in_doubt = memory.take(await self._store.revocations_after(memory.ask_after))
                if not news and not memory.knows_the_newest:
                    in_doubt |= memory.is_lower(await self._store.newest_revocation())
                if in_doubt:
                    self._recalling.doubt(memory.remembered(now_ms=self._clock()))
                if not news:
                    break
                self._tell(news)
            self._recalling.doubt(memory.finish())
            self._has_followed = True
            self._on_followed()

    def _tell(self, news: Sequence[tuple[bytes, int]]) -> None:
        ended = [(session_id_text(session_id), at_ms) for session_id, at_ms in news]
        self._on_revoked(ended, self._memory.cursor)
        elsewhere = [session_id_text(session_id) for session_id, _ in news if not self._memory.is_own(session_id)]
        if self._has_followed:  # what was ended before the start stands in the log of those who ran then
            logs.log_ended_elsewhere(elsewhere)

    async def recall(self) -> None:
        """End again what the store has forgotten that it had ended, if there is a doubt."""
        if self._recalling.wanted.is_set():
            await self._recalling.look()

    async def follow_keys(self) -> None:
        """Learn which keys there are."""
        ring = self._keys.ring
        await self._keys.reload()
        if self._keys.ring is not ring:
            self._on_keys_changed()

    async def sweep(self) -> None:
        """Walk once over what is kept, a small step at a time, letting refreshes pass in between."""
        while (gone := await self._store.sweep()) is not None:  # noqa: ASYNC110 - refreshes pass in between
            await asyncio.sleep(SWEEP_PAUSE_SECONDS if gone else SWEEP_LOOK_SECONDS)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """For the server's lifespan."""
        await self.follow()
        tasks = [
            asyncio.create_task(_every(FOLLOW_EVERY_SECONDS, self.follow_revocations, at_once=self._nudged)),
            asyncio.create_task(_every(BEAT_SECONDS, self.standstill.beat)),
            asyncio.create_task(_every(RECALL_EVERY_SECONDS, self.recall)),
            asyncio.create_task(_every(KEYS_EVERY_SECONDS, self.follow_keys)),
            asyncio.create_task(_every(SWEEP_EVERY_SECONDS, self.sweep)),
        ]
        if self._compare_clocks is not None:
            tasks.append(asyncio.create_task(_every(CLOCKS_EVERY_SECONDS, self._compare_clocks)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _every(seconds: float, step: Callable[[], Any], *, at_once: asyncio.Event | None = None) -> None:
    """
    Repeat for ever; a step that fails is logged and tried again.

    Args:
        at_once: Ends the wait for the next step.
    """
    failed = False
    while True:
        await _pause(seconds, at_once)
        try:
            await step()
        except EvertokenError as error:
            if not failed:  # once per outage, not once a second
                _log.warning("background work waits for the store: %s", error)
            failed = True
        except Exception:  # noqa: BLE001 - the server outlives a step
            _log.exception("background work failed")
        else:
            failed = False


async def _pause(seconds: float, at_once: asyncio.Event | None) -> None:
    if at_once is None:
        await asyncio.sleep(seconds)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await at_once.wait()
    at_once.clear()
