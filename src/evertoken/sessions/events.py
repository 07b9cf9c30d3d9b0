"""Telling others what has been committed: logs, metrics, guards in this process, and the host application's hooks."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable

from evertoken.sessions.model import Event, EventKind

_log = logging.getLogger(__name__)

Hook = Callable[[Event], Awaitable[None] | None]
"""Called after the commit. It may be async; what it raises is logged and changes nothing."""

ENDS_A_SESSION = frozenset({EventKind.SESSION_ENDED, EventKind.REPLAY})
"""The events after which a session's access tokens must be refused."""


class EventHub:
    """
    Hands committed events to whoever subscribed.

    An application that tells its users about thefts subscribes and waits for `EventKind.REPLAY`: two parties held
    that session, and `event.detail` says from where.
    """

    def __init__(self) -> None:
        self._hooks: list[Hook] = []
        self._running: set[asyncio.Task[None]] = set()

    def subscribe(self, hook: Hook) -> Callable[[], None]:
        """Call `hook` with every event from now on; returns the way to stop it."""
        self._hooks.append(hook)
        return lambda: self._hooks.remove(hook)

    def publish(self, events: Iterable[Event]) -> None:
        """Tell everybody; never raises, never waits."""
        for event in events:
            for hook in tuple(self._hooks):
                self._call(hook, event)

    def _call(self, hook: Hook, event: Event) -> None:
        try:
            result = hook(event)
            if inspect.isawaitable(result):
                task = asyncio.get_running_loop().create_task(_await(result, event))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        except Exception:  # noqa: BLE001 - a hook is not ours
            _log.exception("an event hook failed", extra={"event_kind": event.kind.value})


async def _await(result: Awaitable[None], event: Event) -> None:
    try:
        await result
    except Exception:  # noqa: BLE001 - a hook is not ours
        _log.exception("an event hook failed", extra={"event_kind": event.kind.value})
