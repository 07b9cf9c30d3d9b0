"""
What an operator may ask of a session store, beside the contract of `sessions/store.py`. Implementations live in
`stores/`, and `tests/stores/compliance/` holds every one of them to it.

None of these is asked while anybody waits for a refresh, but they read what refreshes write: each looks at a bounded
number of rows, so that a big store is walked in steps and other reads pass between them.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from evertoken.sessions.model import Caller, SessionRecord
from evertoken.sessions.rotation import Reason

LEAST_ID_CHARACTERS: Final = 6
"""From how many characters on a text is also taken for the beginning of a session id: shorter ones fit by chance."""

_ID_CHARACTERS: Final = 22


@dataclass(frozen=True, slots=True)
class SessionCursor:
    """A place in the list of sessions, which goes from the newest sign-in to the oldest."""

    created_at_ms: int
    id: bytes


@dataclass(frozen=True, slots=True)
class SessionSearch:
    """
    Which sessions an operator wants to see.

    Args:
        part: Part of the user name, of an address or of a device, or the beginning of the session id; empty for all.
            ASCII letters match in either case, and those of our own users' names in any; no character has a meaning
            of its own.
        user_id: Only this user's.
        live_only: Only those that can still be refreshed.
        after: Where the page before ended; None for the first.
        limit: How many at most, at least 1.
    """

    part: str = ""
    user_id: str | None = None
    live_only: bool = True
    after: SessionCursor | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class SessionPage:
    """
    Sessions, the newest sign-in first.

    Args:
        after: Where the next page begins; None at the end. It may be set beside fewer sessions than were asked for,
            even none: only so many rows are looked at for one page.
    """

    sessions: tuple[SessionRecord, ...]
    after: SessionCursor | None


@dataclass(frozen=True, slots=True)
class UserTally:
    """
    One user's sessions that nobody has ended, counted.

    Args:
        username: As at the sign-in of one of them.
        live: Those that can be refreshed.
        fresh: Those that were refreshed, or begun, lately enough for an access token of theirs to be good still.
    """

    user_id: str
    username: str
    live: int
    expired_idle: int
    expired_max_age: int
    fresh: int


@dataclass(frozen=True, slots=True)
class Happened:
    """
    What happened in a stretch of time.

    Args:
        events: Events of the audit trail by kind. Events that were folded into one line count when the last of them
            happened.
        ended: Sessions that were ended, by reason. One that merely expired was ended by nobody.
    """

    events: Mapping[str, int]
    ended: Mapping[Reason, int]


class OperatorStore(Protocol):
    """Every method may raise StoreUnavailable."""

    async def search_sessions(self, search: SessionSearch) -> SessionPage:
        """A page of sessions."""

    async def tally_users(self, *, fresh_after_ms: int, after: str | None, limit: int) -> list[UserTally]:
        """
        Sessions that nobody has ended, by user, in the order of user ids.

        Args:
            fresh_after_ms: Who was refreshed later than this counts as fresh.
            after: The last user id of the page before; None for the first.
            limit: How many users at most.
        """

    async def live_sessions_of(self, user_ids: Sequence[str]) -> dict[str, int]:
        """How many live sessions each of these users has; those who have none are left out."""

    async def happened(self, *, from_ms: int, until_ms: int) -> Happened:
        """What happened from one instant on, and before another."""

    async def ended_sessions(self) -> dict[Reason, int]:
        """Sessions that were ended and are still kept, by reason."""

    async def enable(self, user_id: str, caller: Caller) -> bool:
        """
        Let a disabled user of ours sign in again, and record it; False when there is no such user, or not disabled.

        Sessions that were ended stay ended. (`SessionStore.change_account` disables.)
        """


def ids_beginning_with(text: str) -> tuple[bytes, bytes] | None:
    """
    The lowest and the highest session id whose text begins like this; None where the text is too short, too long or
    holds what no id can hold.
    """
    if not LEAST_ID_CHARACTERS <= len(text) <= _ID_CHARACTERS:
        return None
    if not all(character.isascii() and (character.isalnum() or character in "-_") for character in text):
        return None
    lowest, highest = (base64.urlsafe_b64decode(text.ljust(_ID_CHARACTERS, fill) + "==") for fill in "A_")
    return lowest, highest
