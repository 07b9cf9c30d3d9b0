"""Who in this process is told that sessions have ended."""

from collections.abc import Callable, Sequence
from typing import Protocol

from evertoken.edge.feed import RevocationFeed
from evertoken.sessions.events import ENDS_A_SESSION, Hook
from evertoken.sessions.model import Event, session_id_text


class Refusing(Protocol):
    """What this process's guard refuses."""

    def add(self, session_id: str, *, revoked_at_ms: int) -> object:
        """Refuse the access tokens of this session."""


def refuse_ended(revoked: Refusing) -> Hook:
    """Of what this process has committed: its own guard."""

    def hook(event: Event) -> None:
        if event.kind in ENDS_A_SESSION and event.session_id is not None:
            revoked.add(session_id_text(event.session_id), revoked_at_ms=event.at_ms)

    return hook


def tell_ended(revoked: Refusing, feed: RevocationFeed) -> Callable[[Sequence[tuple[str, int]], int], None]:
    """Of what any worker has revoked: the guard of this process, and those elsewhere."""

    def tell(ended: Sequence[tuple[str, int]], cursor: int) -> None:
        for session_id, at_ms in ended:
            revoked.add(session_id, revoked_at_ms=at_ms)
        feed.learn(ended, cursor)

    return tell
