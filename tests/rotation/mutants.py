"""
Servers that decide a little differently, each of which the explorer must catch.

Most are the real source of rotation.py with one line changed; the others change what is answered or kept.
"""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

from evertoken.sessions import rotation

from .server import FRESH, Row, Server, Token, Verdict

Maker = Callable[[int, int], Server]
"""Makes a server for an overlap and an idle time."""


def changed(*changes: tuple[str, str]) -> ModuleType:
    """
    Give a copy of rotation.py in which each first text is replaced by the second.

    Raises:
        AssertionError: A text does not occur exactly once: rotation.py was rewritten, and the mutant must follow.
    """
    source = inspect.getsource(rotation)
    for old, new in changes:
        assert source.count(old) == 1, f"rotation.py has no single {old!r} to mutate"
        source = source.replace(old, new)
    module = ModuleType("mutated_rotation")
    module.__dict__["__name__"] = rotation.__name__
    exec(compile(source, "mutated rotation.py", "exec"), module.__dict__)
    return module


def source(*changes: tuple[str, str], horizon_in_overlaps: int = 1) -> Maker:
    """Give the maker of a server over mutated source."""
    code = changed(*changes)
    return lambda overlap, idle: Server(overlap, idle, code, horizon=horizon_in_overlaps * overlap)


class NewTokenOnEarly(Server):
    """EARLY hands out a child of the presented token."""

    def answered(self, outcome: str, token: Token) -> Token | None:
        """Give a child for every success."""
        return super().answered("reissue" if outcome == "early" else outcome, token)


class TwinOnEarly(Server):
    """EARLY hands out a younger twin of the presented token, so that nothing ever ripens."""

    def answered(self, outcome: str, token: Token) -> Token | None:
        """Give a token of the same parent on EARLY."""
        if outcome == "early":
            return (token[0], FRESH, token[2], 0)
        return super().answered(outcome, token)


class RevokesInVain(Server):
    """REPLAY is raised inside the transaction, which rolls the revocation back."""

    def kept(self, row: Row, outcome: str, decided: Row) -> Row:
        """Keep the row as it was."""
        return row if outcome == "replay" else decided


class StrictRotation(Server):
    """REISSUE makes the child current at once: the field's usual rotation."""

    def kept(self, row: Row, outcome: str, decided: Row) -> Row:
        """Let the child count before anybody has shown it."""
        if outcome == "reissue":
            current, _previous, generation, _advanced, idle_left, over = decided
            return (FRESH, current, generation + 1, 0, idle_left, over)
        return super().kept(row, outcome, decided)


class GraceWindow(Server):
    """Within the overlap the token before gets a child of the current one: the field's usual grace window."""

    def present(self, row: Row, token: Token) -> Verdict:
        """Serve whom the table would call STALE."""
        verdict = super().present(row, token)
        if verdict.outcome == "stale":
            return verdict._replace(outcome="reissue", child=(row[2] + 1, FRESH, row[0], 0))
        return verdict


class Mutant(NamedTuple):
    """A wrong server, the world in which it must be caught, and a word of the promise that it breaks there."""

    what: str
    make: Maker
    world: str
    broken: str


_YOUNG = "if is_young(token, now_ms=now_ms, policy=policy):\n"
_EARLY = "        " + _YOUNG + "            return Decision(Outcome.EARLY, used)\n"
_HEALED = "    " + _YOUNG + "        healed = replace("
_HEAL = "token.generation >= row.generation + 2"
_STALE = "if _was_newest_before(row, token) and _is_within_overlap(row, now_ms=now_ms, policy=policy):"
_REPLAY = "return Decision(Outcome.REPLAY, row, reason=Reason.REPLAYED)"

_ENDED = "ended"
_STUCK = "stuck"
_LONG = "longer than an overlap"
_WENT_ON = "two ripe rotations"
_TURNS = "take turns"

_THREE = source(("MATURITY_IN_OVERLAPS: Final = 4", "MATURITY_IN_OVERLAPS: Final = 3"))

DEMANDED = (
    Mutant("maturity of 3 overlaps", _THREE, "tabs", _STUCK),
    Mutant("maturity of 3 overlaps, each way", _THREE, "two messages, each way", _STUCK),
    Mutant(
        "HEAL to t",
        source(
            ("            current=token.parent,\n", "            current=token.tag,\n"),
            ("            generation=token.generation - 1,\n", "            generation=token.generation,\n"),
        ),
        "rollback",
        _STUCK,
    ),
    Mutant(
        "STALE for any old token",
        source((_REPLAY, "return Decision(Outcome.STALE, row)")),
        "two messages and a thief",
        _LONG,
    ),
    Mutant("a new refresh token on EARLY", NewTokenOnEarly, "tabs", _STUCK),
    Mutant(
        "revoking inside a transaction that is rolled back",
        RevokesInVain,
        "two messages and a thief",
        "said to be over",
    ),
)

HABITS_OF_THE_FIELD = (
    Mutant("strict rotation", StrictRotation, "tabs", _STUCK),
    Mutant("a grace window that hands out tokens again", GraceWindow, "two messages and a thief", _WENT_ON),
    Mutant("a younger twin on EARLY", TwinOnEarly, "two messages and a thief", _ENDED),
)

RIPENESS = (
    Mutant("no maturity", source(("IN_OVERLAPS: Final = 4", "IN_OVERLAPS: Final = 0")), "tabs", _STUCK),
    Mutant(
        "ripeness by the age of the row",
        source((_EARLY, _EARLY.replace("is_young(token, ", "_is_within_overlap(row, "))),
        "tabs",
        _STUCK,
    ),
    Mutant(
        "nothing ever ripens",
        source((_EARLY, _EARLY.replace(_YOUNG, "if True:\n"))),
        "two messages and a thief",
        "side by side",
    ),
    Mutant("HEAL ripens at once", source((_HEALED, _HEALED.replace(_YOUNG, "if False:\n"))), "rollback", _STUCK),
    Mutant(
        "EARLY begins the overlap anew",
        source((_EARLY, _EARLY.replace("used)", "replace(used, advanced_at_ms=now_ms))"))),
        "two messages and a thief who polls",
        _LONG,
    ),
)

MEMORY = (
    Mutant(
        "ADVANCE forgets the token before",
        source(("token, previous=row.current, now_ms", "token, previous=None, now_ms")),
        "late echoes",
        _ENDED,
    ),
    Mutant(
        "ADVANCE leaves the generation",
        source(("previous=previous, generation=token.generation,", "previous=previous, generation=row.generation,")),
        "two messages and a thief",
        _TURNS,
    ),
    Mutant(
        "STALE for anybody within the overlap",
        source((_STALE, "if _is_within_overlap(row, now_ms=now_ms, policy=policy):")),
        "two messages and a thief",
        _LONG,
    ),
    Mutant(
        "STALE for siblings only",
        source(("row.previous in (token.tag, token.parent)", "row.previous == token.parent")),
        "late echoes",
        _ENDED,
    ),
    Mutant("no STALE", source((_STALE, "if False:")), "late echoes", _ENDED),
    Mutant(
        "STALE lasts two overlaps",
        source(("<= policy.overlap_ms", "<= 2 * policy.overlap_ms"), horizon_in_overlaps=2),
        "two messages and a thief",
        _LONG,
    ),
    Mutant(
        "STALE begins the overlap anew",
        source(("Outcome.STALE, row, retry", "Outcome.STALE, replace(row, advanced_at_ms=now_ms), retry")),
        "two messages and a thief who polls",
        _LONG,
    ),
)

LOST_COMMITS = (
    Mutant("no HEAL", source((_HEAL, "False")), "rollback", _STUCK),
    Mutant("HEAL from one generation ahead", source((_HEAL, _HEAL[:-1] + "1")), "thief and rollback", _TURNS),
    Mutant("HEAL from the same generation", source((_HEAL, _HEAL[:-1] + "0")), "two messages and a thief", _TURNS),
    Mutant(
        "HEAL keeps the token before",
        source(
            ("            previous=ANY,\n", "            previous=row.previous,\n"),
            ("_advanced(row, token, previous=ANY", "_advanced(row, token, previous=row.previous"),
        ),
        "late echoes and rollback",
        _ENDED,
    ),
    Mutant(
        "HEAL leaves advanced_at",
        source(("            advanced_at_ms=now_ms,\n", "")),
        "late echoes and rollback",
        _ENDED,
    ),
    Mutant(
        "the idle date of the token is not honoured",
        source((" if policy.extends_idle else 0\n", " * 0\n")),
        "rollback and idle time",
        _STUCK,
    ),
)

MUTANTS = (*DEMANDED, *HABITS_OF_THE_FIELD, *RIPENESS, *MEMORY, *LOST_COMMITS)
