"""
What a running server remembers of revocations, for the day on which its store forgets them.

A store goes back when a backup is restored, or when a replica that was behind takes over. Sessions that were ended
meanwhile live again in it; whoever followed the feed of revocations knows better. To end such a session again is safe
at any time and by any number of servers: an id stands for one session for ever, one that was ended never comes to
life but by the store's going back, and ending one that is over, or unknown, changes nothing. So a mere doubt is enough
to look. Pure.
"""

from collections.abc import Iterable
from typing import Final

from evertoken.sessions.model import Revocations

MOST_REMEMBERED: Final = 100_000
"""The newest so many, some 17 MB; the older ones stand in the log (`evertoken store reapply-revocations`)."""

Entry = tuple[bytes, int]
"""A session, and when it was ended, in milliseconds."""


class RevocationMemory:
    """
    Follows the feed of one store, remembers what it told, and notices when it no longer tells it.

    Args:
        kept_ms: How long after its end a session could be refreshed if the end were forgotten: the idle lifetime.
        most: How many are remembered at most.
    """

    def __init__(self, *, kept_ms: int, most: int = MOST_REMEMBERED) -> None:
        self._kept_ms = kept_ms
        self._most = most
        self._ended: dict[bytes, int] = {}
        self._unseen: dict[bytes, int] = {}
        self._cursor = 0
        self._newest: Entry | None = None
        self._highest = 0
        self._turn = 0

    def __len__(self) -> int:
        return len(self._ended)

    @property
    def ask_after(self) -> int:
        """
        Where the next page of the feed shall begin: with the newest entry that is known, which must still be there.

        A number alone would not tell: what is revoked after a restore has higher numbers than all before.
        """
        return self._cursor - 1 if self._newest is not None else self._cursor

    @property
    def cursor(self) -> int:
        """The number of the newest entry that was taken."""
        return self._cursor

    @property
    def knows_the_newest(self) -> bool:
        """Whether `take` can tell by itself that the store went back; else it must be asked for its highest number."""
        return self._newest is not None

    def begin(self) -> None:
        """The feed is about to be read to its end: what is committed by now must be in it."""
        self._turn += 1

    def note(self, session_id: bytes, *, at_ms: int) -> None:
        """This process has ended a session, and the store has said that it is committed."""
        if session_id not in self._ended:
            self._remember(session_id, at_ms)
            self._unseen[session_id] = self._turn

    def take(self, page: Revocations) -> tuple[list[Entry], bool]:
        """
        Take a page that was asked for with `ask_after`.

        Returns:
            What is new in it, and whether the store may have gone back: the newest entry known before is not there,
            because it is lost, or because it was swept after two access lifetimes without another.
        """
        news = list(page.session_ids)
        in_doubt = False
        if self._newest is not None:
            if news and news[0] == self._newest:
                del news[0]
            else:
                in_doubt, self._newest = True, None
        elif self._cursor and news:
            in_doubt = True
        for session_id, at_ms in news:
            self._remember(session_id, at_ms)
        if news:
            self._newest = news[-1]
            self._cursor = max(self._cursor, page.cursor)
            self._highest = self._cursor
        return news, in_doubt

    def is_lower(self, highest: int) -> bool:
        """Whether the highest number that the store says it ever gave is lower than it was: it has gone back."""
        was, self._highest = self._highest, highest
        return highest < was

    def is_own(self, session_id: bytes) -> bool:
        """Whether this process ended it, and so has told of it; each is asked for once, when the feed tells it."""
        return self._unseen.pop(session_id, None) is not None

    def finish(self) -> list[bytes]:
        """
        The feed was read to its end.

        Returns:
            What this process ended before `begin` and the feed does not tell: the store has lost it.
        """
        lost = [session_id for session_id, turn in self._unseen.items() if turn < self._turn]
        for session_id in lost:
            del self._unseen[session_id]
        return lost

    def remembered(self, *, now_ms: int) -> list[bytes]:
        """The sessions whose end may still matter, the one that was ended last first."""
        before_ms = now_ms - self._kept_ms
        for session_id in [one for one, at_ms in self._ended.items() if at_ms < before_ms]:
            del self._ended[session_id]
        return list(reversed(self._ended))

    def _remember(self, session_id: bytes, at_ms: int) -> None:
        self._ended.pop(session_id, None)
        self._ended[session_id] = at_ms
        if len(self._ended) > self._most:
            del self._ended[next(iter(self._ended))]


def in_windows(session_ids: list[bytes], size: int) -> Iterable[list[bytes]]:
    """Some at a time."""
    return (session_ids[start : start + size] for start in range(0, len(session_ids), size))
