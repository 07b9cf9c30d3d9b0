"""
Ending again what a store has forgotten that it had ended.

See `sessions/recall.py` for how that is noticed. Every server does it for itself: whoever comes second finds the
session over already.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from evertoken.clock import Clock
from evertoken.sessions.events import ENDS_A_SESSION, EventHub, Hook
from evertoken.sessions.model import Caller, Event, EventKind
from evertoken.sessions.recall import RevocationMemory, in_windows
from evertoken.sessions.rotation import Reason
from evertoken.sessions.store import SessionStore

AFTER_GOING_BACK: Final = Caller("", "evertoken: ended again, the store had gone back")
"""Who ended it, for the audit trail."""

_AT_ONCE: Final = 32
_PAUSE_SECONDS: Final = 0.005

_log = logging.getLogger(__name__)


class Recalling:
    """
    Sessions that were ended and may live again, and the work of looking at them.

    Args:
        hub: Told of what is ended again, as of any other end.
    """

    def __init__(self, store: SessionStore, hub: EventHub, *, clock: Clock) -> None:
        self._store = store
        self._hub = hub
        self._clock = clock
        self._doubtful: dict[bytes, None] = {}
        self._looked_at = 0
        self._ended = 0
        self.wanted = asyncio.Event()
        """Set while there is something to look at."""

    def doubt(self, session_ids: Iterable[bytes]) -> None:
        """Look at these soon; the first comes first."""
        for session_id in session_ids:
            self._doubtful.setdefault(session_id)
        if self._doubtful:
            self.wanted.set()

    async def look(self) -> int:
        """
        End again whatever of it lives; returns how many that were. What could not be looked at is left for the next
        time.

        Raises:
            StoreUnavailable: the store failed; what is left is kept.
        """
        for some in in_windows(list(self._doubtful), _AT_ONCE):
            for session_id in await self._alive(some):
                ended = await self._store.end(session_id, Reason.REVOKED, AFTER_GOING_BACK)
                self._ended += len(ended.session_ids)
                self._hub.publish(ended.events)
            for session_id in some:
                self._doubtful.pop(session_id, None)
            self._looked_at += len(some)
            await asyncio.sleep(_PAUSE_SECONDS)  # refreshes pass in between
        return await self._tell()

    async def _alive(self, session_ids: list[bytes]) -> list[bytes]:
        """Those that nobody has ended. One that has expired may come back: its holder's token may have a later date."""
        found = await asyncio.gather(*(self._store.find(session_id) for session_id in session_ids))
        return [record.id for record in found if record is not None and record.revoked_at_ms is None]

    async def _tell(self) -> int:
        ended, looked_at = self._ended, self._looked_at
        if ended:
            _log.warning(
                "the store has gone back: %d sessions that it had forgotten were ended are ended again (of %d that"
                " this process remembers); see docs/operating.md on what a restore loses",
                ended,
                looked_at,
            )
            detail = {"ended": ended, "remembered": looked_at}
            event = Event(EventKind.REVOCATIONS_REAPPLIED, self._clock(), caller=AFTER_GOING_BACK, detail=detail)
            await self._store.record(event)
            self._hub.publish((event,))
        self._ended = self._looked_at = 0
        if not self._doubtful:
            self.wanted.clear()
        return ended


def noting(memory: RevocationMemory, nudge: Callable[[], None]) -> Hook:
    """
    What a server does with each end of its own, besides refusing the access tokens.

    The feed takes what was revoked from the store, in its order, and so must hear of it at once; the memory holds it
    even where the store loses it before it was read.
    """

    def hook(event: Event) -> None:
        if event.kind in ENDS_A_SESSION and event.session_id is not None:
            memory.note(event.session_id, at_ms=event.at_ms)
            nudge()

    return hook
