"""Tells a walk as a story: every token gets a letter when it is made, and keeps it."""

from typing import Final

from .canonical import State
from .model import SUCCESS, Event, Walk
from .server import ANY, FRESH, NOBODY

_SENTENCES: Final = {
    "send": "a tab reads {token} in the jar and sends it",
    "deliver": "the request with {token} arrives: {outcome}",
    "deliver again": "the request with {token} arrives: {outcome}; a copy of it travels on",
    "echo": "the network keeps a copy of the request with {token}",
    "hear": "a late echo of the request with {token} arrives: {outcome}; nobody hears the answer",
    "arrive": "the answer with {token} arrives: the jar holds {token}",
    "arrive again": "the answer with {token} arrives: the jar holds {token}; a copy of it travels on",
    "lose request": "a request with {token} is lost",
    "lose answer": "an answer with {token} is lost",
    "save": "a backup of the store is made",
    "roll back": "the store is rolled back to the backup",
    "steal": "a thief copies {token} from the jar",
    "present": "the thief presents {token}: {outcome}",
    "present, keep": "the thief presents {token}: {outcome}, and throws the answer away",
    "present, both": "the thief presents {token}: {outcome}, and keeps both",
    "probe": "the network is well, and a tab sends {token}: {outcome}",
    "last": "the session is over, and yet {token} gets {outcome}",
}


class Story:
    """The lines of a walk, each with the tick at which it happened."""

    def __init__(self, walk: Walk) -> None:
        self.lines: list[str] = []
        self._walk = walk
        self._now = 0
        self._made = 0
        first = walk.start().messages[0][2]
        _state, names = walk.canonical(walk.start())
        self._letters = {names[first[1]]: self._new_letter()}
        self.say(f"somebody signs in; the answer with {self._letter(names[first[1]])} is on its way")

    def step(self, state: State, number: int) -> None:
        """Tell the step of that number among those that are possible in a state."""
        event, raw, _broken = self._walk.steps(state)[number]
        _state, names = self._walk.canonical(raw)
        self._tell(event, names)

    def on(self, state: State, then: State) -> None:
        """Tell the first step that leads from one state to the next."""
        reached = [self._walk.canonical(raw)[0] for _event, raw, _broken in self._walk.steps(state)]
        self.step(state, reached.index(then))

    def last(self, state: State, event: Event) -> None:
        """Tell the step that broke a promise, and what the store held before it."""
        letters = dict(self._letters)
        self._tell(event, {})
        self._letters = letters
        current, previous = state.row[:2]
        before = {NOBODY: "nobody's", ANY: "ANY"}.get(previous) or self._letter(previous)
        self.say(f"(until then the store held: current {self._letter(current)}, previous {before})")

    def say(self, what: str) -> None:
        """Add a line."""
        self.lines.append(f"{self._now:3}  {what}")

    def _tell(self, event: Event, names: dict[int, int]) -> None:
        kind, tag, outcome = event
        if kind == "tick":
            self._now += 1
        else:
            word = outcome.upper()
            if FRESH in names and outcome in SUCCESS:
                self._letters[FRESH] = self._new_letter()
                word += f", answered with {self._letters[FRESH]}"
            self.say(_SENTENCES[kind].format(token=self._letter(tag), outcome=word))
        self._letters = {new: self._letters[old] for old, new in names.items() if old in self._letters}

    def _letter(self, tag: int) -> str:
        return self._letters.get(tag, "a forgotten one")

    def _new_letter(self) -> str:
        round_number, place = divmod(self._made, 26)
        self._made += 1
        return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[place] + (str(round_number) if round_number else "")
