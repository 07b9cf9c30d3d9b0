"""
Walks every state that a world can reach, breadth first, so that the first broken promise comes by a shortest way.

It knows nothing of tokens. It counts what it saw, tells the way to a broken promise as a story, and looks for rounds
in which a thief and an owner could go on side by side for ever.
"""

import gc
import time
from array import array
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from .canonical import State
from .endless import Edges
from .model import Walk
from .story import Story

LIMIT: Final = 5_000_000
"""A world with more states than this is taken for one without bounds."""

REMEMBERED: Final = 500_000
"""
How many raw states are known by their numbers before that memory is emptied: two in three steps lead to one that was
there lately, and its canonical form costs more than everything else.
"""


@dataclass
class Findings:
    """
    What a walk saw.

    Args:
        depth: The most events on a shortest way to a state.
        outcomes: Every outcome that occurred.
        broken: The first promise that was broken; empty if all were kept.
        story: The shortest way there.
    """

    states: int = 0
    steps: int = 0
    depth: int = 0
    seconds: float = 0.0
    outcomes: set[str] = field(default_factory=set)
    broken: str = ""
    story: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.states:>9,} states {self.steps:>10,} steps {self.depth:>3} deep {self.seconds:>5.1f} s"

    @property
    def told(self) -> str:
        """The broken promise and the way there."""
        return "\n".join([f"{self.broken}:", *self.story])


def explore(walk: Walk) -> Findings:
    """Walk over everything that can be reached, to the end or to the first broken promise."""
    was_enabled = gc.isenabled()
    gc.disable()  # millions of tuples and no cycles: the collector would take a third of the time
    try:
        return Explorer(walk).explore()
    finally:
        if was_enabled:
            gc.enable()


class Explorer:
    """One walk."""

    def __init__(self, walk: Walk) -> None:
        start, _names = walk.canonical(walk.start())
        self._walk = walk
        self._edges = Edges() if walk.world.thief is not None else None
        self._seen: dict[State, int] = {start: 0}
        self._states: list[State] = [start]
        self._known: dict[State, int] = {}
        self._came_from = array("l", [-1])
        self._findings = Findings()

    def explore(self) -> Findings:
        """
        Walk, once.

        Raises:
            RuntimeError: This world has more states than LIMIT.
        """
        began = time.process_time()
        findings = self._findings
        index = end_of_layer = 0
        while index < len(self._states) and not findings.broken:
            self._expand(index)
            if index == end_of_layer < len(self._states) - 1:
                findings.depth += 1
                end_of_layer = len(self._states) - 1
            index += 1
        if self._edges is not None and not findings.broken:
            self._look_for_rounds(self._edges)
        findings.states = len(self._states)
        findings.seconds = time.process_time() - began
        return findings

    def _expand(self, index: int) -> None:
        states, known, findings, edges = self._states, self._known, self._findings, self._edges
        for event, raw, broken in self._walk.steps(states[index]):
            findings.steps += 1
            if event[2]:
                findings.outcomes.add(event[2])
            if broken:
                story = self._way_to(index)
                story.last(states[index], event)
                findings.broken, findings.story = broken, story.lines
                return
            number = known.get(raw, -1)
            if number < 0:
                number = self._number(raw, index)
                known[raw] = number
            if edges is not None:
                edges.add(number, event)
        if edges is not None:
            edges.close()
        if len(known) > REMEMBERED:
            known.clear()
        if len(states) > LIMIT:
            raise RuntimeError(f"more than {LIMIT:,} states: this world has no bounds")

    def _number(self, raw: State, came_from: int) -> int:
        """Give the number of the canonical form of a state; the next one if it was never seen."""
        state, _names = self._walk.canonical(raw)
        number = self._seen.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
            self._came_from.append(came_from)
        return number

    def _look_for_rounds(self, edges: Edges) -> None:
        hops = edges.endless()
        if not hops:
            return
        story = self._way_to(hops[0][0])
        story.say("and from here it goes round for ever:")
        for state, number in hops:
            story.step(self._states[state], number)
        self._findings.broken = "owner and thief go on side by side for ever"
        self._findings.story = story.lines

    def _way_to(self, index: int) -> Story:
        path = [index]
        while self._came_from[path[-1]] >= 0:
            path.append(self._came_from[path[-1]])
        path.reverse()
        story = Story(self._walk)
        for state, then in pairwise(path):
            story.on(self._states[state], self._states[then])
        return story
