"""Reading 256 lists as one, without a server: the order is that of all, and little is read for little."""

import bisect
import random
from collections.abc import Sequence
from typing import Any, cast

from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.merging import ByName, NewestFirst, merged
from evertoken.stores.redis.scripts import Command

BUCKETS = 256


class _Redis:
    """Answers from sorted lists, and counts."""

    def __init__(self, lists: dict[bytes, list[Any]]) -> None:
        self._lists = lists
        self.entries = 0
        self.commands = 0
        self.longest = 0

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        self.commands += len(commands)
        self.longest = max(self.longest, len(commands))
        answers = [
            self._by_time(*command) if "WITHSCORES" in command else self._by_name(*command) for command in commands
        ]
        self.entries += sum(map(len, answers))
        return answers

    def _by_time(self, _: object, key: Any, top: Any, *rest: Any) -> list[tuple[bytes, float]]:
        found = [one for one in reversed(self._lists[key]) if one[0] <= float(top)][: rest[-1]]
        return [(member, score) for score, member in found]

    def _by_name(self, _: object, key: Any, beginning: Any, *rest: Any) -> list[bytes]:
        begins = bisect.bisect_right(self._lists[key], beginning[1:]) if beginning != b"-" else 0
        return cast("list[bytes]", self._lists[key][begins : begins + rest[-1]])


def _times(per_bucket: int, *, within: int) -> dict[bytes, list[Any]]:
    chosen = random.Random(per_bucket)
    return {
        b"%d" % bucket: sorted(
            (float(chosen.randrange(within)), b"%d-%d" % (bucket, number)) for number in range(per_bucket)
        )
        for bucket in range(BUCKETS)
    }


async def _first(redis: _Redis, lists: Sequence[Any], count: int, *, downwards: bool = True) -> list[Any]:
    found: list[Any] = []
    async for piece in merged(cast("Calls", redis), lists, downwards=downwards):
        found += piece
        if len(found) >= count:
            break
    return found[:count]


async def test_the_newest_hundred_of_all_buckets_are_read_without_reading_much_more() -> None:
    """Of a hundred thousand in 256 lists some two thousand are read for the newest hundred."""
    lists = _times(400, within=10**9)
    redis = _Redis(lists)
    newest = sorted((one for some in lists.values() for one in some), reverse=True)
    assert await _first(redis, [NewestFirst(key) for key in lists], 100) == newest[:100]
    assert redis.entries <= 2_000
    assert redis.commands <= 2 * BUCKETS
    assert redis.longest <= 32


async def test_what_has_one_time_is_given_once_and_in_order_behind_every_place() -> None:
    """A list goes on behind any of its entries, however many share a millisecond."""
    for within in (1, 3, 20):
        lists = _times(20, within=within)
        everything = sorted((one for some in lists.values() for one in some), reverse=True)
        for at in (0, 1, 77, len(everything) // 2, len(everything) - 1):
            behind = everything[at]
            buckets = [NewestFirst(key, behind) for key in lists]
            assert await _first(_Redis(lists), buckets, len(everything)) == everything[at + 1 :]


async def test_names_come_in_their_order_from_behind_one_of_them() -> None:
    """Users are read by their ids in the same way, upwards."""
    chosen = random.Random(1)
    lists: dict[bytes, list[Any]] = {b"%d" % bucket: [] for bucket in range(BUCKETS)}
    names = [b"u%08d" % number for number in range(20_000)]
    for name in names:
        lists[b"%d" % chosen.randrange(BUCKETS)].append(name)
    redis = _Redis(lists)
    assert await _first(redis, [ByName(key, b"") for key in lists], 100, downwards=False) == names[:100]
    assert redis.entries <= 2_000
    everything = [ByName(key, names[123]) for key in lists]
    assert await _first(redis, everything, len(names), downwards=False) == names[124:]
