"""
Lists that lie in many buckets, read as one: in rounds, and of each bucket no more than the rounds before have called
for. A page of the newest hundred reads four of each bucket, a walk through all of them 32 at a time.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final, Protocol, TypeVar

from evertoken.stores.redis.calling import Calls, scored
from evertoken.stores.redis.scripts import Command

_FIRST: Final = 4
_MOST: Final = 32
_LISTS_AT_ONCE: Final = 32
"""Whose answers are read at once, a few milliseconds at most: others come in between."""

T = TypeVar("T")
Entry = TypeVar("Entry", bytes, tuple[float, bytes])


class Bucket(Protocol[Entry]):
    """
    One of the lists.

    Args:
        end: How far it was read; None where nothing was.
        is_done: Whether all of it was.
    """

    end: Entry | None
    is_done: bool

    def command(self, size: int) -> Command:
        """Reads on, for so many more."""

    def take(self, answer: Any) -> list[Entry]:
        """What it has given."""


class NewestFirst:
    """
    A sorted set by time, of one time from the highest member to the lowest.

    Args:
        behind: Only what stands behind this place.
    """

    def __init__(self, key: bytes, behind: tuple[float, bytes] | None = None) -> None:
        self._key = key
        self._behind = self.end = behind
        self._again = 0  # what has the time of the end, and is given once more
        self._asked = 0
        self.is_done = False

    def command(self, size: int) -> Command:
        self._asked = self._again + size
        top = "+inf" if self.end is None else f"{self.end[0]:.0f}"
        return ("ZREVRANGEBYSCORE", self._key, top, "-inf", "WITHSCORES", "LIMIT", 0, self._asked)

    def take(self, answer: Any) -> list[tuple[float, bytes]]:
        found = [(score, member) for member, score in scored(answer)]
        seen = self._behind
        self.is_done = len(found) < self._asked
        if found:
            self.end = found[-1]
            self._again = sum(score == found[-1][0] for score, _ in found)
            self._behind = found[-1] if seen is None else min(seen, found[-1])
        return [one for one in found if seen is None or one < seen]


class ByName:
    """A sorted set without times, by its members, from behind one of them on."""

    def __init__(self, key: bytes, behind: bytes) -> None:
        self._key = key
        self._asked = 0
        self.end: bytes | None = behind
        self.is_done = False

    def command(self, size: int) -> Command:
        self._asked = size
        return ("ZRANGEBYLEX", self._key, b"(" + self.end if self.end else b"-", "+", "LIMIT", 0, size)

    def take(self, answer: Any) -> list[bytes]:
        found: list[bytes] = list(answer)
        self.is_done = len(found) < self._asked
        if found:
            self.end = found[-1]
        return found


async def merged(calls: Calls, lists: Sequence[Bucket[Entry]], *, downwards: bool) -> AsyncIterator[list[Entry]]:
    """All of these lists in one order, in pieces; some pieces are empty."""
    size = _FIRST
    read: list[Entry] = []
    short = lists
    while True:
        for some in parts(short, _LISTS_AT_ONCE):
            answers = await calls.run([one.command(size) for one in some])
            for one, answer in zip(some, answers, strict=True):
                read += one.take(answer)
        read.sort(reverse=downwards)
        open_ends = sorted([(one.end, one) for one in lists if not one.is_done], key=_end, reverse=downwards)
        if not open_ends:
            yield read
            return
        # What is still to come stands behind the end of the list that was read least far.
        bound: Any = open_ends[0][0]
        ready = sum(one >= bound if downwards else one <= bound for one in read)
        yield read[:ready]
        del read[:ready]
        short = [one for _, one in open_ends[: len(open_ends) // 2 + 1]]
        size = min(2 * size, _MOST)


def _end(pair: tuple[Any, object]) -> Any:
    return pair[0]


def parts(whole: Sequence[T], length: int) -> Iterator[Sequence[T]]:
    """In pieces of at most this length."""
    return (whole[start : start + length] for start in range(0, len(whole), length))
