"""
A process that has stood still: it was stopped, its machine slept, or its event loop was held up.

What was sent to it meanwhile lies in its sockets, and those who sent it have long since asked another process. A
refresh token that is looked at so late has been succeeded several times, so it looks like a stolen one, and its owner
would be signed out. Rotation counts on no request living longer than the overlap; here is what sees to it.
"""

import logging
from collections.abc import Callable

from evertoken.clock import both_clocks
from evertoken.errors import TemporarilyUnavailable

BEAT_SECONDS = 0.5
"""How often a process notes that it is there."""

LEAST_SECONDS = 10.0
"""Shorter stands are no matter, however short the overlap: a busy machine has such."""

REFUSES_FOR_SECONDS = 2.0
"""How long after it goes on: what lay in the sockets has been read by then."""

_log = logging.getLogger(__name__)


class Standstill:
    """
    Notices by both of this machine's clocks: one of them goes on while a machine sleeps, the other when it is set.

    Args:
        overlap_seconds: How long a request may live.
        clocks: The wall clock and the monotonic one, in seconds.
    """

    def __init__(self, overlap_seconds: float, *, clocks: Callable[[], tuple[float, float]] = both_clocks) -> None:
        self._longest = max(overlap_seconds, LEAST_SECONDS)
        self._clocks = clocks
        self._last: tuple[float, float] | None = None
        self._refuses_until = 0.0

    async def beat(self) -> None:
        """Note that this process is there; for ever anew, every `BEAT_SECONDS`."""
        stood = self._stood()
        self._last = self._clocks()
        if stood > self._longest:
            self._refuses_until = self._last[1] + REFUSES_FOR_SECONDS
            _log.warning(
                "this process stood still for %d s; refreshes are refused with 503 for %g s, for they may be as old",
                stood,
                REFUSES_FOR_SECONDS,
            )

    def demand_none(self) -> None:
        """
        See that a refresh that has just been read cannot have lain here for long.

        Raises:
            TemporarilyUnavailable: it can; nobody is signed out, the same token may be sent again.
        """
        if self._stood() > self._longest or self._clocks()[1] < self._refuses_until:
            raise TemporarilyUnavailable("this process has just gone on after it stood still")

    def _stood(self) -> float:
        """Seconds since the last beat; 0 where nobody beats, as in an application that runs no lifespan."""
        if self._last is None:
            return 0.0
        return max(now - before for now, before in zip(self._clocks(), self._last, strict=True))
