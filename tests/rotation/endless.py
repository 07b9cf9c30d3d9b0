"""Finds rounds that could be run for ever, in which time passes and owner and thief are both served."""

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from .model import SUCCESS, Event

TIME: Final = 1
OWNER: Final = 2
THIEF: Final = 4
UNFAIR: Final = 8
"""Not part of a round: an answer to the owner is lost, or the store loses what it had acknowledged."""

BOTH_FOR_EVER: Final = TIME | OWNER | THIEF

Hop = tuple[int, int]
"""A state, and the number of a step in it."""


def mark(event: Event) -> int:
    """Say what a step contributes to a round."""
    kind, _tag, outcome = event
    if kind == "tick":
        return TIME
    if kind in {"lose answer", "roll back"}:
        return UNFAIR
    if outcome in SUCCESS:
        return THIEF if kind.startswith("present") else OWNER
    return 0


class Edges:
    """The steps of a walk, in the order of the states they start from."""

    def __init__(self) -> None:
        self._starts = array("l", [0])
        self._ends = array("l")
        self._marks = bytearray()

    def add(self, end: int, event: Event) -> None:
        """Add a step from the state at hand."""
        self._ends.append(end)
        self._marks.append(mark(event))

    def close(self) -> None:
        """Turn to the next state."""
        self._starts.append(len(self._ends))

    def endless(self) -> list[Hop]:
        """Give a round in which both are served for ever; empty if there is none."""
        for members in components(len(self._starts) - 1, self._fair_ends):
            inside = set(members)
            marks = 0
            for step in [step for state in members for step in self._fair(state)]:
                if self._ends[step] in inside:
                    marks |= self._marks[step]
            if marks & BOTH_FOR_EVER == BOTH_FOR_EVER:
                return self._round(members[0], inside)
        return []

    def _fair(self, state: int) -> list[int]:
        steps = range(self._starts[state], self._starts[state + 1])
        return [step for step in steps if not self._marks[step] & UNFAIR]

    def _fair_ends(self, state: int) -> list[int]:
        return [self._ends[step] for step in self._fair(state)]

    def _round(self, home: int, inside: set[int]) -> list[Hop]:
        """Give a way from a state past everything that makes a round endless, and back."""
        hops: list[Hop] = []
        here = home
        for wanted in (OWNER, THIEF, TIME):
            hops += self._way(here, inside, partial(self._is_marked, wanted))
            here = self._ends[self._starts[hops[-1][0]] + hops[-1][1]]
        if here != home:
            hops += self._way(here, inside, lambda step: self._ends[step] == home)
        return hops

    def _is_marked(self, wanted: int, step: int) -> bool:
        return bool(self._marks[step] & wanted)

    def _way(self, here: int, inside: set[int], is_wanted: Callable[[int], bool]) -> list[Hop]:
        """Give the shortest way that ends with a wanted step (breadth first)."""
        came: dict[int, Hop | None] = {here: None}
        queue = deque([here])
        while True:
            state = queue.popleft()
            for step in self._fair(state):
                end = self._ends[step]
                if end not in inside:
                    continue
                hop = (state, step - self._starts[state])
                if is_wanted(step):
                    return [*self._back(came, state), hop]
                if end not in came:
                    came[end] = hop
                    queue.append(end)

    def _back(self, came: dict[int, Hop | None], state: int) -> list[Hop]:
        hops: list[Hop] = []
        hop = came[state]
        while hop is not None:
            hops.append(hop)
            hop = came[hop[0]]
        return hops[::-1]


def components(count: int, ends_of: Callable[[int], Iterable[int]]) -> Iterator[list[int]]:
    """Give the strongly connected components of a graph (Tarjan, without recursion: the walks are deep)."""
    order: dict[int, int] = {}
    low = array("l", [0]) * count
    settled = bytearray(count)
    pending: list[int] = []
    for root in range(count):
        calls: list[tuple[int, Iterator[int]]] = []
        found = [] if root in order else [root]
        while found or calls:
            for state in found:
                order[state] = low[state] = len(order)
                pending.append(state)
                calls.append((state, iter(ends_of(state))))
            state, ends = calls[-1]
            found = _first_new(state, ends, order, low, settled)
            if found:
                continue
            calls.pop()
            if calls:
                caller = calls[-1][0]
                low[caller] = min(low[caller], low[state])
            if low[state] == order[state]:
                place = _last_index(pending, state)
                members = pending[place:]
                del pending[place:]
                for member in members:
                    settled[member] = 1
                yield members


def _first_new(
    state: int, ends: Iterator[int], order: dict[int, int], low: "array[int]", settled: bytearray
) -> list[int]:
    for end in ends:
        if end not in order:
            return [end]
        if not settled[end]:
            low[state] = min(low[state], order[end])
    return []


def _last_index(pending: list[int], state: int) -> int:
    place = len(pending) - 1
    while pending[place] != state:
        place -= 1
    return place
