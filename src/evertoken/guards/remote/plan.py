"""What a guard elsewhere does when: pure decisions, told the time in seconds of a clock that is never set back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

COOL_DOWN_SECONDS: Final = 30.0
"""Between two fetches of the keys that somebody else can bring about, by tokens with made-up key ids."""

LEAST_FRESH_SECONDS: Final = COOL_DOWN_SECONDS
MOST_FRESH_SECONDS: Final = 3600.0
DEFAULT_FRESH_SECONDS: Final = 300.0
"""How long keys count as fresh where the issuer does not say; it announces a key for 10 minutes before it signs."""

FIRST_BACK_OFF_SECONDS: Final = 0.25
LONGEST_BACK_OFF_SECONDS: Final = 5.0
FIRST_GONE_SECONDS: Final = 1.0
LONGEST_GONE_SECONDS: Final = 2.0
LEAST_PART_OF_GONE: Final = 0.25
"""
The longest wait before the next poll where nobody listened, the first time and from then on, and the part of it that
is not left to chance. In a long outage shorter than after other failures, for who is not there is not burdened by a
poll; yet so spread that an issuer that comes back is not asked by 10,000 guards at once. One that answers errors, or is
too busy to answer in time, must not be asked more often for it.
"""

REFUSED_BACK_OFF_SECONDS: Final = 60.0
"""After a refusal that only a person can mend. The credential may be made anew at the issuer, so it is tried again."""

LONGEST_RETRY_AFTER_SECONDS: Final = 60.0

HASTY_SECONDS: Final = 1.0
"""An answer without news that comes sooner than this is not what a long poll gives: a server that stops, or a cache."""

_MAX_AGE: Final = re.compile(r"(?:^|,)\s*max-age\s*=\s*\"?([0-9]{1,9})\"?\s*(?:,|$)", re.IGNORECASE)
_NO_STORE: Final = re.compile(r"(?:^|,)\s*(?:no-store|no-cache)\s*(?:=|,|$)", re.IGNORECASE)
_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


def fresh_seconds(headers: Mapping[str, str]) -> float:
    """
    How long an answer with keys counts as fresh, by Cache-Control and Age (RFC 9111 §4.2), within our bounds.

    Args:
        headers: By their names in lower case.
    """
    cache_control = headers.get("cache-control", "")
    if _NO_STORE.search(cache_control):
        return LEAST_FRESH_SECONDS
    told = _MAX_AGE.search(cache_control)
    if told is None:
        return DEFAULT_FRESH_SECONDS
    age = headers.get("age", "0").strip()
    left = float(told[1]) - (float(age) if _SECONDS.fullmatch(age) else 0.0)
    return min(max(left, LEAST_FRESH_SECONDS), MOST_FRESH_SECONDS)


def back_off_seconds(failures: int, *, chance: float) -> float:
    """
    How long to wait after so many failures in a row: doubled each time, half of it by chance.

    Args:
        failures: At least 1.
        chance: 0 to 1; guards that lost the same server must not all come back at once.
    """
    longest = min(FIRST_BACK_OFF_SECONDS * 2.0 ** min(failures - 1, 20), LONGEST_BACK_OFF_SECONDS)
    return longest * (0.5 + 0.5 * chance)


def gone_seconds(failures: int, *, chance: float) -> float:
    """
    How long to wait before the next poll where nobody listened so many times in a row.

    Args:
        failures: At least 1.
        chance: 0 to 1.
    """
    longest = FIRST_GONE_SECONDS if failures == 1 else LONGEST_GONE_SECONDS
    return longest * (LEAST_PART_OF_GONE + (1.0 - LEAST_PART_OF_GONE) * chance)


def retry_after_seconds(headers: Mapping[str, str]) -> float:
    """What Retry-After asks for, at most a minute; 0 where it asks for nothing that we understand."""
    told = headers.get("retry-after", "").strip()
    return min(float(told), LONGEST_RETRY_AFTER_SECONDS) if _SECONDS.fullmatch(told) else 0.0


# ---- keys ----


@dataclass(frozen=True, slots=True)
class KeyTimes:
    """
    When keys were fetched, and when they will be.

    Args:
        tried_at: When the last fetch began; minus infinity before the first.
        due_at: When to fetch again.
        failures: Fetches in a row that brought no keys.
    """

    tried_at: float = float("-inf")
    due_at: float = float("-inf")
    failures: int = 0

    def may_fetch_for_unknown(self, *, now: float) -> bool:
        """Whether a token with an unknown key id is a reason to fetch now."""
        return now - self.tried_at >= COOL_DOWN_SECONDS

    def began(self, *, now: float) -> "KeyTimes":
        """A fetch has begun."""
        return replace(self, tried_at=now)

    def succeeded(self, headers: Mapping[str, str], *, now: float) -> "KeyTimes":
        """The fetch has brought keys."""
        return replace(self, due_at=now + fresh_seconds(headers), failures=0)

    def failed(self, *, now: float, chance: float) -> "KeyTimes":
        """The fetch has brought none: the old ones stay."""
        failures = self.failures + 1
        return replace(self, due_at=now + back_off_seconds(failures, chance=chance), failures=failures)


# ---- the feed ----


@dataclass(frozen=True, slots=True)
class Page:
    """What the feed answered."""

    session_ids: tuple[str, ...]
    cursor: str
    is_complete: bool
    kept_seconds: int


@dataclass(frozen=True, slots=True)
class FeedFailure:
    """
    Why a poll brought nothing.

    Args:
        setting: The setting that only a person can mend; None where it may pass by itself.
        detail: For the log, without secrets.
        is_cursor_refused: The cursor is not one of this server's: begin anew.
        is_gone: Nobody listens there, the connection was cut, or a gateway says so.
        retry_after: Seconds that the server asked for.
    """

    detail: str
    setting: str | None = None
    is_cursor_refused: bool = False
    is_gone: bool = False
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class FeedTimes:
    """
    Where a guard stands in the feed.

    Args:
        cursor: To go on from; None begins anew.
        current_at: When we last knew everything that had been revoked; None before the first time.
        failures: Polls in a row that failed.
        wait: Seconds to wait before the next poll.
    """

    cursor: str | None = None
    current_at: float | None = None
    failures: int = 0
    wait: float = 0.0

    def poll_seconds(self, longest: int) -> int:
        """
        How long the server may hold the next poll: not at all until we know where we stand.

        After an outage a poll that waits would leave it open for as long whether the outage is over.
        """
        return longest if self.current_at is not None and self.failures == 0 else 0

    def after_page(self, page: Page, *, polled_seconds: int, took: float, now: float, chance: float) -> "FeedTimes":
        """
        The next step after an answer: at once, unless it came suspiciously soon and without news.

        Args:
            polled_seconds: How long the server might have held it.
            took: How long it took, in seconds.
        """
        is_empty = page.is_complete and not page.session_ids
        is_hasty = is_empty and took < min(HASTY_SECONDS, polled_seconds)
        wait = HASTY_SECONDS * (0.5 + 0.5 * chance) if is_hasty else 0.0
        return FeedTimes(page.cursor, now if page.is_complete else self.current_at, 0, wait)

    def after_failure(self, failure: FeedFailure, *, chance: float) -> "FeedTimes":
        """The next step after a failure: later, and anew where the cursor was refused."""
        failures = self.failures + 1
        wait = (gone_seconds if failure.is_gone else back_off_seconds)(failures, chance=chance)
        if failure.setting is not None:
            wait = REFUSED_BACK_OFF_SECONDS * (0.5 + 0.5 * chance)
        elif failure.is_cursor_refused and self.cursor is not None:
            wait = 0.0 if failures == 1 else wait
        cursor = None if failure.is_cursor_refused else self.cursor
        return FeedTimes(cursor, self.current_at, failures, max(wait, failure.retry_after))

    def closes_at(self, close_after_seconds: float) -> float:
        """From when on nobody may pass; minus infinity before the feed was heard for the first time."""
        return float("-inf") if self.current_at is None else self.current_at + close_after_seconds


def wait_seconds_for(close_after_seconds: float | None, *, longest: int) -> int:
    """How long a poll may wait at the server, so that one that says nothing is noticed before `close_after`."""
    if close_after_seconds is None:
        return longest
    return max(1, min(longest, int(close_after_seconds / 3)))
