"""What the server does between requests: follow the store, sweep it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from evertoken.errors import EvertokenError
from evertoken.sessions.keys import KeyKeeper
from evertoken.sessions.model import session_id_text
from evertoken.sessions.store import SessionStore

FOLLOW_EVERY_SECONDS = 1.0
"""How often a worker asks what the others have ended: they must know within 2 s."""

SWEEP_EVERY_SECONDS = 60.0
SWEEP_PAUSE_SECONDS = 0.05

_log = logging.getLogger(__name__)


class Background:
    """
    Keeps one worker in step with the store.

    Args:
        on_revoked: Told the id and time of every session that any worker has ended.
        on_keys_changed: Told when the key ring is another.
    """

    def __init__(
        self,
        store: SessionStore,
        keys: KeyKeeper,
        *,
        on_revoked: Callable[[str, int], None],
        on_keys_changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._keys = keys
        self._on_revoked = on_revoked
        self._on_keys_changed = on_keys_changed
        self._cursor = 0

    async def follow(self) -> None:
        """One step: learn what was revoked and which keys there are."""
        while True:
            page = await self._store.revocations_after(self._cursor)
            for session_id, at_ms in page.session_ids:
                self._on_revoked(session_id_text(session_id), at_ms)
            if page.cursor == self._cursor:
                break
            self._cursor = page.cursor
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
            asyncio.create_task(_every(FOLLOW_EVERY_SECONDS, self.follow)),
            asyncio.create_task(_every(SWEEP_EVERY_SECONDS, self.sweep)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _every(seconds: float, step: Callable[[], Any]) -> None:
    """Repeat for ever; a step that fails is logged and tried again."""
    failed = False
    while True:
        await asyncio.sleep(seconds)
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
