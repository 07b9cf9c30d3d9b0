"""What a guard elsewhere tells of itself: events as they happen, and how it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class GuardEventKind(StrEnum):
    """What can happen to a guard."""

    KEYS_CHANGED = "keys_changed"
    KEYS_UNREACHABLE = "keys_unreachable"
    KEYS_REACHED = "keys_reached"
    FEED_LOST = "feed_lost"
    FEED_RESTORED = "feed_restored"


@dataclass(frozen=True, slots=True)
class GuardEvent:
    """
    Something happened: once per outage, not once per attempt.

    Args:
        detail: Why, for people; without secrets.
    """

    kind: GuardEventKind
    detail: str = ""


EventHook = Callable[[GuardEvent], None]
"""Called in the guard's own thread: it must be quick. What it raises is logged and changes nothing."""


@dataclass(frozen=True, slots=True)
class GuardStatus:
    """
    How a guard stands, for metrics and health checks. Counters count from its making, in this process.

    Args:
        key_ids: The keys it trusts.
        feed: `followed`, `lost`, or `off` without a client credential.
        feed_silent_seconds: Since when it has not known everything that was revoked, at the latest; None where it
            never did, or does not follow.
        refuses: Whether it answers 503 because the feed is lost.
        revoked: Sessions that it refuses now.
    """

    key_ids: tuple[str, ...]
    key_fetches: int
    key_fetch_failures: int
    feed: str
    feed_silent_seconds: float | None
    feed_polls: int
    feed_failures: int
    feed_outages: int
    refuses: bool
    revoked: int
