"""What the server does between requests: follow the store, sweep it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from evertoken.errors import EvertokenError
from evertoken.sessions.keys import KeyKeeper
from evertoken.sessions.model import session_id_text
from evertoken.sessions.store import SessionStore

FOLLOW_EVERY_SECONDS = 0.25
"""How often a worker asks what the others have ended: guards elsewhere that follow it must know within 1 s."""

KEYS_EVERY_SECONDS = 1.0
"""How often a worker reads the signing keys; see `LEAST_ANNOUNCE_SECONDS` of the settings."""

SWEEP_EVERY_SECONDS = 60.0
SWEEP_PAUSE_SECONDS = 0.05

_log = logging.getLogger(__name__)


class Background:
    """
    Keeps one worker in step with the store.

    Args:
        on_revoked: Told the sessions that any worker has ended, with the time in milliseconds, and the store's cursor
            behind them.
        on_keys_changed: Told when the key ring is another.
        on_followed: Told when all that the store has to say has been read.
    """

    def __init__(
        self,
        store: SessionStore,
        keys: KeyKeeper,
        *,
        on_revoked: Callable[[Sequence[tuple[str, int]], int], None],
        on_keys_changed: Callable[[], None],
        on_followed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._keys = keys
        self._on_revoked = on_revoked
        self._on_keys_changed = on_keys_changed
        self._on_followed = on_followed
        self._cursor = 0
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
        """Learn what was revoked."""
        async with self._following:  # two at once would tell the same twice, and out of order
            while True:
                page = await self._store.revocations_after(self._cursor)
                if page.session_ids:
                    ended = [(session_id_text(session_id), at_ms) for session_id, at_ms in page.session_ids]
                    self._on_revoked(ended, page.cursor)
                if page.cursor == self._cursor:
                    break
                self._cursor = page.cursor
            self._on_followed()

    async def follow_keys(self) -> None:
        """Learn which keys there are."""
        ring = self._keys.ring
        await self._keys.reload()
        if self._keys.ring is not ring:
            self._on_keys_changed()

    async def sweep(self) -> None:
        """Remove what is kept no longer, a small step at a time, letting refreshes pass in between."""
        while await self._store.sweep():  # noqa: ASYNC110 - refreshes pass in between
            await asyncio.sleep(SWEEP_PAUSE_SECONDS)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """For the server's lifespan."""
        await self.follow()
        tasks = [
            asyncio.create_task(_every(FOLLOW_EVERY_SECONDS, self.follow_revocations, at_once=self._nudged)),
            asyncio.create_task(_every(KEYS_EVERY_SECONDS, self.follow_keys)),
            asyncio.create_task(_every(SWEEP_EVERY_SECONDS, self.sweep)),
        ]
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
