"""The access token in hand, and until when it is good. Pure."""

from dataclasses import dataclass, field
from typing import Final

MARGIN_SECONDS: Final = 60.0
"""How long before its end a token that is in use is renewed, at most."""
MARGIN_SHARE: Final = 0.2
"""The margin is at most this part of the lifetime, or a short token would be renewed at every request."""
MARGIN_JITTER: Final = 0.25
"""This part of the margin is drawn by lot, so that a thousand programs that signed in together do not come together."""


@dataclass(frozen=True, slots=True)
class Moment:
    """
    Now, by both clocks, in seconds.

    `wall` is time since the epoch, which other processes share and which may be set; `monotonic` is never set back
    but may stand still while a machine sleeps. What has come by either has come.
    """

    wall: float
    monotonic: float

    def has_come(self, now: "Moment") -> bool:
        """Whether this moment lies at or before `now`, by the clock that is further on (RFC 7519 §4.1.4)."""
        return now.wall >= self.wall or now.monotonic >= self.monotonic

    def later(self, seconds: float) -> "Moment":
        """This much later by both clocks."""
        return Moment(self.wall + seconds, self.monotonic + seconds)


@dataclass(frozen=True, slots=True)
class Holding:
    """
    An access token in hand.

    Args:
        generation: Which one it is, counted up in this process; a refusal names the generation it is about.
        access_token: The token.
        renew: From when on it is renewed while in use; None: only when it is refused.
        renew_for_good: From when on it is renewed before a request that cannot be sent again is sent with it: twice as
            long before its end, so that it does not end on the way.
        expires: From when on it is not sent any more; None: unknown.
    """

    generation: int
    access_token: str = field(repr=False)
    renew: Moment | None
    renew_for_good: Moment | None
    expires: Moment | None


def taken(
    *,
    generation: int,
    access_token: str,
    expires_at: float | None,
    lifetime_seconds: float | None,
    is_renewable: bool = True,
    now: Moment,
    jitter: float,
) -> Holding:
    """
    A token just received or read.

    Args:
        expires_at: Wall time at which it ends, as recorded where it was received; None: unknown.
        lifetime_seconds: How long it lived in all; None: unknown.
        is_renewable: Whether there is a refresh token.
        now: When it was received or read.
        jitter: Drawn from 0 to 1.
    """
    if expires_at is None:
        return Holding(generation, access_token, None, None, None)
    left = expires_at - now.wall
    if lifetime_seconds is not None:
        # A wall clock that was set back since would let the token live longer than it ever did.
        left = min(left, lifetime_seconds)
    expires = now.later(left)
    if not is_renewable:
        return Holding(generation, access_token, expires, expires, expires)
    margin = min(MARGIN_SECONDS, (lifetime_seconds if lifetime_seconds is not None else left) * MARGIN_SHARE)
    drawn = margin * (1 - MARGIN_JITTER * jitter)
    return Holding(generation, access_token, expires.later(-drawn), expires.later(-2 * margin), expires)
