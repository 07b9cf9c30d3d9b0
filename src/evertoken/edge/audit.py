"""Lines of the audit trail that begin at the edge: sign-ins that failed or were not let through."""

from evertoken.accounts.throttle import Kind
from evertoken.edge.services import Services
from evertoken.sessions.model import Caller, Event, EventKind

SHOWN_USERNAME_CHARACTERS = 128
QUIET_FOR_MS = 60_000
"""A flood of refused attempts from one address gets one line a minute: it must not fill the disk."""

_MAX_REMEMBERED = 10_000


class Audit:
    """Writes and publishes events."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._last_line_at_ms: dict[tuple[str, str], int] = {}

    async def sign_in_failed(self, username: str, caller: Caller) -> None:
        """A wrong user or a wrong password; which of the two is not recorded either."""
        await self._write(EventKind.SIGN_IN_FAILED, username, caller, None)

    async def rate_limited(self, username: str, caller: Caller, *, slowed_by: Kind | None) -> None:
        """An attempt that was not let through, at most one line a minute for each address and limit."""
        now_ms = self._services.clock()
        key = (caller.address, slowed_by or "")
        last = self._last_line_at_ms.get(key)
        if last is not None and 0 <= now_ms - last < QUIET_FOR_MS:
            return
        if len(self._last_line_at_ms) >= _MAX_REMEMBERED:
            self._last_line_at_ms.clear()
        self._last_line_at_ms[key] = now_ms
        await self._write(EventKind.RATE_LIMITED, username, caller, slowed_by)

    async def _write(self, kind: EventKind, username: str, caller: Caller, reason: str | None) -> None:
        shown = username[:SHOWN_USERNAME_CHARACTERS].encode("utf-8", "replace").decode("utf-8").replace("\0", "")
        event = Event(kind, self._services.clock(), username=shown, caller=caller, reason=reason)
        await self._services.store.record(event)
        self._services.hub.publish((event,))
