"""
The store's time, as this machine can tell it.

Several machines share a store, and its clock decides about refreshes, sign-ins and keys. What a server judges alone,
such as whether an access token has expired, it judges by the same time: a machine whose own clock is minutes off would
else refuse the tokens that its neighbours have just made.
"""

import logging
from dataclasses import dataclass
from typing import Protocol

from evertoken.clock import Clock

TOLERATED_MS = 2_000
"""Up to here a machine goes by its own clock, which runs more evenly than one can be asked for over a network."""

LEAST_CERTAINTY_MS = 1_000
"""An answer that took so long that it says less than this tells nothing about a clock."""

_log = logging.getLogger(__name__)


class TellsTime(Protocol):
    """A store, as far as its clock goes."""

    async def now_ms(self) -> int:
        """The time by which the store decides, in milliseconds; raises StoreUnavailable."""


@dataclass(frozen=True, slots=True)
class Difference:
    """
    How far the store's clock is ahead of ours.

    Args:
        ahead_ms: Milliseconds; negative where it is behind.
        within_ms: How far the truth may be off, either way.
    """

    ahead_ms: int
    within_ms: int

    @property
    def is_known(self) -> bool:
        """Whether the answer came soon enough to tell anything."""
        return 0 <= self.within_ms <= LEAST_CERTAINTY_MS

    @property
    def is_tolerated(self) -> bool:
        """Whether the clocks agree, as far as can be told."""
        return abs(self.ahead_ms) - self.within_ms <= TOLERATED_MS

    def in_words(self) -> str:
        """For people: `3 min 0 s behind the store's`, as said of this machine's clock."""
        minutes, seconds = divmod(round(abs(self.ahead_ms) / 1000), 60)
        how_far = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        return f"{how_far} {'behind' if self.ahead_ms > 0 else 'ahead of'} the store's"


def difference(*, asked_ms: int, told_ms: int, answered_ms: int) -> Difference:
    """
    Compare two clocks by one question.

    Args:
        asked_ms, answered_ms: By our clock, when the question was sent and the answer came.
        told_ms: By the other, at some time in between.
    """
    return Difference(told_ms - (asked_ms + answered_ms) // 2, (answered_ms - asked_ms + 1) // 2)


async def measured(store: TellsTime, own: Clock) -> Difference:
    """
    Ask the store.

    Raises:
        StoreUnavailable: it cannot be asked.
    """
    asked_ms = own()
    told_ms = await store.now_ms()
    return difference(asked_ms=asked_ms, told_ms=told_ms, answered_ms=own())


class StoreClock:
    """
    A clock that is put right by the store's where the two differ by more than `TOLERATED_MS`.

    Args:
        own: This machine's clock.
    """

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._ahead_ms = 0

    def __call__(self) -> int:
        """Milliseconds since the epoch."""
        return self._own() + self._ahead_ms

    async def compare(self, store: TellsTime) -> None:
        """
        Ask the store for its time, and go by it.

        Raises:
            StoreUnavailable: it cannot be asked; what was known stays.
        """
        self.learn(await measured(store, self._own))

    def learn(self, found: Difference) -> None:
        """Take a new difference; the log says when a clock has gone wrong, and when it is right again."""
        if not found.is_known:
            return
        was_right = self._ahead_ms == 0
        self._ahead_ms = 0 if found.is_tolerated else found.ahead_ms
        if was_right and not found.is_tolerated:
            _log.warning("this machine's clock is %s, by which this server goes; keep both by NTP", found.in_words())
        elif found.is_tolerated and not was_right:
            _log.info("this machine's clock and the store's agree again")
